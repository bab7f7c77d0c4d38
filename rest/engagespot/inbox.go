package engagespot

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"carillon/auth"
	"carillon/model"
	"carillon/rest"
)

// Pages of an inbox.
const (
	defaultLimit = 15
	maxLimit     = model.MaxPage // a larger one is cut to it
)

// page is a page of an inbox.
type page struct {
	UnreadCount int64 `json:"unreadCount"` // neither seen nor clicked, of all
	Pagination  struct {
		TotalCount int64 `json:"totalCount"` // of what the filter selects
	} `json:"pagination"`
	Data []Notification `json:"data"`
}

// list answers with a page of the inbox: a user's own, or, for an application,
// that of the user it names.
func (a *API) list(r *http.Request) (int, any, error) {
	ctx := r.Context()
	query, err := listQuery(r)
	if err != nil {
		return 0, nil, err
	}
	user, err := a.owner(r, query)
	if err != nil {
		return 0, nil, err
	}
	env := caller(ctx).Env.ID
	var check model.Check
	at := pageNumber(&check, query.Get("pageNo"), query.Get("limit"))
	filter, err := a.filter(ctx, env, &check, query.Get("filter"), query.Get("category"))
	if err != nil {
		return 0, nil, err
	}
	if err := check.Err(); err != nil {
		return 0, nil, err
	}
	found, err := a.Inbox.Page(ctx, env, user, filter, at)
	if err != nil {
		return 0, nil, err
	}
	out := page{UnreadCount: found.Counters.Unseen}
	out.Pagination.TotalCount = found.Matching
	if out.Data, err = a.shown(ctx, env, found.Items); err != nil {
		return 0, nil, err
	}
	return http.StatusOK, out, nil
}

// listQuery is the query of a list. The PHP client puts it into the body.
func listQuery(r *http.Request) (url.Values, error) {
	query := r.URL.Query()
	body, err := rest.Body(r, rest.MaxBody)
	if err != nil || body == nil {
		return query, err
	}
	var check model.Check
	in := rest.Object(body, &check)
	for _, name := range in.Names() {
		if raw := in.Raw(name); raw != nil && !query.Has(name) {
			query.Set(name, strings.Trim(string(raw), `"`))
		}
	}
	return query, check.Err()
}

// owner is whose inbox is asked for.
func (a *API) owner(r *http.Request, query url.Values) (model.UserID, error) {
	c := caller(r.Context())
	if c.Kind == auth.User {
		c, err := knownUser(r.Context())
		return c.UserID, err
	}
	identifier := query.Get("userIdentifier")
	if identifier == "" {
		return 0, &model.Error{Kind: model.KindInvalid, Message: "invalid input", Problems: []model.Problem{
			{Code: model.ProblemRequired, Path: []string{"userIdentifier"}, Message: "is required with the API secret: whose notifications they are"},
		}}
	}
	u, err := a.Users.Find(r.Context(), c.Env.ID, identifier)
	return u.ID, otherwise(err, noUser())
}

func noUser() error { return model.Errorf(model.KindNotFound, "there is no such user") }

// pageNumber reads a page number and a limit.
func pageNumber(c *model.Check, number, limit string) model.PageNumber {
	return model.PageNumber{
		Number: rest.Whole(c, number, "pageNo", 1, 1),
		Limit:  min(rest.Whole(c, limit, "limit", 1, defaultLimit), maxLimit),
	}
}

// filter reads a filter and a category. A category that does not exist yet has
// no notifications.
func (a *API) filter(ctx context.Context, env model.EnvID, c *model.Check, name, category string) (model.InboxFilter, error) {
	yes, no := true, false
	f := model.InboxFilter{Archived: &no}
	switch name {
	case "":
	case "unread":
		f.Unread = &yes
	case "read":
		f.Unread = &no
	case "interacted":
		f.Interacted = &yes
	default:
		c.Add(model.ProblemInvalid, "must be unread, read or interacted", "filter")
	}
	if category == "" {
		return f, nil
	}
	f.Categories = []model.CategoryID{}
	if model.CheckIdentifier(category) != "" {
		return f, nil
	}
	found, err := a.Catalog.Find(ctx, env, category)
	if err == nil {
		f.Categories = append(f.Categories, found.ID)
	}
	return f, otherwise(err, nil)
}

// click notes that a notification was opened, and leaves alone whether it was
// seen: they are two things to Engagespot.
func (a *API) click(r *http.Request) (int, any, error) {
	body, err := rest.BodyOrForm(r, rest.MaxBody)
	if err != nil {
		return 0, nil, err
	}
	var check model.Check
	rest.Object(body, &check).Bool("read") // always true where it is sent
	if err := check.Err(); err != nil {
		return 0, nil, err
	}
	return a.mark(r, model.MarkReadOnly, body)
}
