package engage

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"unicode/utf8"

	"carillon/model"
)

type jsonValue = json.RawMessage

// Limits of a list, in characters.
const (
	maxTitle       = 64
	maxDescription = 255
)

var errArchived = model.Errorf(model.KindConflict, "the list is archived: nobody is put on it any more")

// list finds the list of the path.
func (c *call) list() (model.Topic, error) {
	id, ok := parseID(c.r.PathValue("list"))
	if !ok {
		return model.Topic{}, errNoList
	}
	t, err := c.Topics.ByID(c.ctx(), c.env, model.TopicID(id))
	if model.KindOf(err) == model.KindNotFound {
		err = errNoList
	}
	return t, err
}

func (c *call) answerList(code int, t model.Topic) (int, any, error) {
	objects, err := c.shownLists(c.ctx(), c.env, t)
	if err != nil {
		return 0, nil, err
	}
	return code, objects[0], nil
}

// listFields reads what may be said of a list.
func (c *call) listFields() model.TopicChanges {
	var ch model.TopicChanges
	for _, f := range []struct {
		name string
		to   **string
		max  int
	}{{"title", &ch.Name, maxTitle}, {"description", &ch.Description, maxDescription}, {"redirect_url", &ch.RedirectURL, 4096}} {
		if !c.body.Has(f.name) {
			continue
		}
		s := c.body.Text(f.name)
		if m := model.CheckText(s, f.max*utf8.UTFMax); m != "" {
			c.check.Add(model.ProblemInvalid, m, f.name)
		}
		n := utf8.RuneCountInString(s)
		c.check.That(n <= f.max, fmt.Sprintf("must have at most %d characters, has %d", f.max, n), f.name)
		*f.to = &s
	}
	if c.body.Has("double_optin") {
		b := c.body.Bool("double_optin")
		ch.DoubleOptIn = &b
	}
	return ch
}

func (a *API) createList(r *http.Request) (int, any, error) {
	c, err := a.begin(r, "createTopic")
	if err != nil {
		return 0, nil, err
	}
	c.body.Required("title")
	ch := c.listFields()
	if err := c.check.Err(); err != nil {
		return 0, nil, err
	}
	out, err := a.Topics.Create(c.ctx(), c.env, c.once, "list-"+a.ids.New(), value(ch.Name), model.TopicDetails{
		Description: value(ch.Description), DoubleOptIn: value(ch.DoubleOptIn), RedirectURL: value(ch.RedirectURL),
	})
	if err != nil {
		return 0, nil, renamed(err, [2]string{"name", "title"}, [2]string{"redirectUrl", "redirect_url"})
	}
	return c.answerList(http.StatusCreated, out.Value)
}

func value[T any](p *T) T {
	if p == nil {
		var none T
		return none
	}
	return *p
}

func (a *API) listLists(r *http.Request) (int, any, error) {
	c, err := a.begin(r, "")
	if err != nil {
		return 0, nil, err
	}
	p := c.page(r.URL.Query())
	if err := c.check.Err(); err != nil {
		return 0, nil, err
	}
	topics, out, err := window(p, func(req model.PageRequest) ([]model.Topic, bool, error) {
		page, err := a.Topics.ListOpen(c.ctx(), c.env, turned(req))
		return reversed(page.Items), page.HasMore, err
	}, func(t model.Topic) int64 { return int64(t.ID) })
	if err != nil {
		return 0, nil, err
	}
	objects, err := a.shownLists(c.ctx(), c.env, topics...)
	return http.StatusOK, page[listObject]{Data: objects, HasMore: out.HasMore, Next: out.Next, Previous: out.Previous}, err
}

// turned asks a list that runs from the highest id down for what one that runs
// up would give.
func turned(req model.PageRequest) model.PageRequest {
	return model.PageRequest{Limit: req.Limit, Backward: !req.Backward, After: req.Before, Before: req.After}
}

func reversed[T any](items []T) []T {
	slices.Reverse(items)
	return items
}

func (a *API) getList(r *http.Request) (int, any, error) {
	c, err := a.begin(r, "")
	if err != nil {
		return 0, nil, err
	}
	t, err := c.list()
	if err != nil {
		return 0, nil, err
	}
	return c.answerList(http.StatusOK, t)
}

func (a *API) putList(r *http.Request) (int, any, error) {
	c, err := a.begin(r, "updateTopic")
	if err != nil {
		return 0, nil, err
	}
	ch := c.listFields()
	if err := c.check.Err(); err != nil {
		return 0, nil, err
	}
	t, err := c.list()
	if err != nil {
		return 0, nil, err
	}
	out, err := a.Topics.Update(c.ctx(), c.env, c.once, t.Identifier, ch)
	if err != nil {
		return 0, nil, renamed(err, [2]string{"name", "title"}, [2]string{"redirectUrl", "redirect_url"})
	}
	return c.answerList(http.StatusOK, out.Value)
}

func (a *API) archiveList(r *http.Request) (int, any, error) {
	c, err := a.begin(r, "updateTopic")
	if err != nil {
		return 0, nil, err
	}
	t, err := c.list()
	if err != nil {
		return 0, nil, err
	}
	yes := true
	_, err = a.Topics.Update(c.ctx(), c.env, c.once, t.Identifier, model.TopicChanges{Archived: &yes})
	return http.StatusOK, done, err
}

// subscribe puts a user on a list who is found by the e-mail address or the
// number, else made, without a uid of the application's.
func (a *API) subscribe(r *http.Request) (int, any, error) {
	c, err := a.begin(r, "subscribeToTopic")
	if err != nil {
		return 0, nil, err
	}
	if c.caller.Public && c.body.Has("email") {
		return 0, nil, onlyBackend(c.caller)
	}
	ch := c.change("gen-" + a.ids.New())
	ch.Unassigned, ch.Match, ch.MatchFirst = true, c.match(), true
	ch.Guard = nil
	if err := c.check.Err(); err != nil {
		return 0, nil, err
	}
	t, err := c.list()
	if err != nil {
		return 0, nil, err
	}
	if t.Archived {
		return 0, nil, errArchived
	}
	ch.Topics = []model.TopicID{t.ID}
	out, err := a.Users.Change(c.ctx(), c.env, c.once, ch)
	return http.StatusOK, map[string]string{"uid": out.Value.User.Identifier}, err
}

func (a *API) setSubscribed(r *http.Request) (int, any, error) {
	c, err := a.begin(r, "subscribeToTopic")
	if err != nil {
		return 0, nil, err
	}
	c.body.Required("subscribed")
	subscribed := c.body.Bool("subscribed")
	if err := c.check.Err(); err != nil {
		return 0, nil, err
	}
	if err := c.subscriber(func(t model.Topic) (model.TopicChange, error) {
		if t.Archived && subscribed {
			return model.TopicChange{}, errArchived
		}
		out, err := a.Topics.Subscribe(c.ctx(), c.env, c.once, t.Identifier, []model.TopicMember{{Identifier: r.PathValue("uid"), Unsubscribed: !subscribed}})
		return out.Value, err
	}); err != nil {
		return 0, nil, err
	}
	return http.StatusOK, map[string]bool{"subscribed": subscribed}, nil
}

func (a *API) unsubscribe(r *http.Request) (int, any, error) {
	c, err := a.begin(r, "unsubscribeFromTopic")
	if err != nil {
		return 0, nil, err
	}
	err = c.subscriber(func(t model.Topic) (model.TopicChange, error) {
		out, err := a.Topics.Unsubscribe(c.ctx(), c.env, c.once, t.Identifier, []string{r.PathValue("uid")})
		return out.Value, err
	})
	return http.StatusOK, done, err
}

// subscriber changes the place of the path's user on the path's list.
func (c *call) subscriber(change func(model.Topic) (model.TopicChange, error)) error {
	t, err := c.list()
	if err != nil {
		return err
	}
	out, err := change(t)
	if err == nil && len(out.NotFound) > 0 {
		return model.NotFound("names no user", "uid")
	}
	return err
}

// joinLists and leaveLists change the places of one user on several lists.
func (a *API) joinLists(r *http.Request) (int, any, error) {
	return a.simple(r, "subscribeToTopic", func(c *call) model.UserChange {
		c.body.Required("lists")
		var ch model.UserChange
		for _, t := range c.lists() {
			ch.Topics = append(ch.Topics, t.ID)
		}
		return ch
	}, (*call).user)
}

func (a *API) leaveLists(r *http.Request) (int, any, error) {
	return a.simple(r, "unsubscribeFromTopic", func(c *call) model.UserChange {
		c.body.Required("lists")
		var ch model.UserChange
		for _, t := range c.lists() {
			ch.LeaveTopics = append(ch.LeaveTopics, t.ID)
		}
		return ch
	}, (*call).user)
}
