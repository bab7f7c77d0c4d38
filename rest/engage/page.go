package engage

import (
	"net/url"

	"carillon/model"
	"carillon/rest"
)

// The pages of a list, in both of the vendor's ways.
const (
	defaultLimit = 10
	maxLimit     = 30
)

// pageQuery is what is asked of a list: at most one of after and before.
type pageQuery struct {
	limit         int
	after, before int64
	backward      bool
}

func (c *call) page(q url.Values) pageQuery {
	p := pageQuery{limit: min(rest.Whole(&c.check, q.Get("limit"), "limit", 1, defaultLimit), maxLimit)}
	given := 0
	for _, one := range []struct {
		name string
		to   *int64
	}{{"after_id", &p.after}, {"next_cursor", &p.after}, {"before_id", &p.before}, {"previous_cursor", &p.before}} {
		value := q.Get(one.name)
		if value == "" {
			continue
		}
		given++
		id, ok := parseID(value)
		if !ok {
			c.check.Add(model.ProblemInvalid, "must be an id of this list", one.name)
		}
		*one.to = id
	}
	c.check.That(given <= 1, "must be only one of after_id, before_id, next_cursor and previous_cursor", "page")
	p.backward = p.before != 0
	return p
}

// window reads a page of a list that runs by id: read gives the items in
// ascending order, and whether there are more that way.
func window[T any](p pageQuery, read func(model.PageRequest) ([]T, bool, error), id func(T) int64) (items []T, out page[T], err error) {
	req := model.PageRequest{Limit: p.limit, Backward: p.backward}
	if p.after != 0 {
		req.After = &model.PageKey{ID: p.after}
	}
	if p.before != 0 {
		req.Before = &model.PageKey{ID: p.before}
	}
	items, more, err := read(req)
	if err != nil {
		return nil, out, err
	}
	out.HasMore = more
	if len(items) == 0 {
		return items, out, nil
	}
	first, last := id(items[0]), id(items[len(items)-1])
	// Whether there are more the other way is asked of the list itself.
	other := model.PageRequest{Limit: 1, Backward: !p.backward}
	if p.backward {
		other.After = &model.PageKey{ID: last}
	} else {
		other.Before = &model.PageKey{ID: first}
	}
	beyond, _, err := read(other)
	if err != nil {
		return nil, out, err
	}
	if more && !p.backward || len(beyond) > 0 && p.backward {
		out.Next = objectID(last)
	}
	if more && p.backward || len(beyond) > 0 && !p.backward {
		out.Previous = objectID(first)
	}
	return items, out, nil
}
