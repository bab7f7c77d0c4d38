package engagespot

import (
	"net/http"

	"carillon/model"
	"carillon/rest"
)

// get answers with one notification; asking for it is seeing it.
func (a *API) get(r *http.Request) (int, any, error) { return a.mark(r, model.MarkSeen, nil) }

// view notes that a notification was shown.
func (a *API) view(r *http.Request) (int, any, error) { return a.mark(r, model.MarkSeen, nil) }

// unview notes that it was not, and leaves alone whether it was opened.
func (a *API) unview(r *http.Request) (int, any, error) {
	return a.mark(r, model.MarkUnseenOnly, nil)
}

// unread notes that it was not opened, and leaves alone whether it was shown.
func (a *API) unread(r *http.Request) (int, any, error) { return a.mark(r, model.MarkUnread, nil) }

// remove takes a notification out of the inbox for good.
func (a *API) remove(r *http.Request) (int, any, error) {
	i, err := a.item(r, "deleteNotifications", nil)
	if err != nil {
		return 0, nil, err
	}
	out, err := a.Inbox.Delete(r.Context(), i.caller.Env.ID, i.once, i.user, []model.NotificationID{i.id})
	if err != nil {
		return 0, nil, err
	}
	if len(out.Value.Deleted) == 0 {
		return 0, nil, gone()
	}
	return http.StatusOK, said("the notification was deleted"), nil
}

// setState gives a notification a state of the customer's own, and answers with
// all of it: clients put the answer in place of the item.
func (a *API) setState(r *http.Request) (int, any, error) {
	body, err := rest.Body(r, rest.MaxBody)
	if err != nil {
		return 0, nil, err
	}
	var check model.Check
	in := rest.Object(body, &check)
	in.Required("state")
	change := model.StateChange{State: in.Text("state"), Data: in.ObjectText("data"), Delete: in.Bool("delete")}
	if err := check.Err(); err != nil {
		return 0, nil, err
	}
	i, err := a.item(r, "setNotificationState", body)
	if err != nil {
		return 0, nil, err
	}
	out, err := a.Inbox.SetState(r.Context(), i.caller.Env.ID, i.once, i.user, i.id, change)
	if err != nil {
		return 0, nil, err
	}
	if len(out.Value.Notifications) == 0 {
		return 0, nil, gone()
	}
	return a.one(r.Context(), i.caller.Env.ID, out.Value.Notifications[0])
}

// allSeen notes that a page of the inbox was shown; without a page, that the
// newest unseen were.
func (a *API) allSeen(r *http.Request) (int, any, error) {
	c, once, err := a.whole(r, "markPage")
	if err != nil {
		return 0, nil, err
	}
	query := r.URL.Query()
	number := query.Get("page")
	if number == "" {
		number = query.Get("pageNo")
	}
	var check model.Check
	at := pageNumber(&check, number, query.Get("limit"))
	if err := check.Err(); err != nil {
		return 0, nil, err
	}
	no, yes := false, true
	filter := model.InboxFilter{Archived: &no}
	if number == "" {
		filter.Unseen = &yes
	}
	if _, err := a.Inbox.MarkPage(r.Context(), c.Env.ID, once, c.UserID, filter, at, model.MarkSeen); err != nil {
		return 0, nil, err
	}
	return http.StatusOK, said("the notifications were marked as seen"), nil
}

// allRead notes that everything in the inbox was opened. That leaves seenAt as
// it is, so it is written item by item.
func (a *API) allRead(r *http.Request) (int, any, error) {
	c, once, err := a.whole(r, "markAllNotifications")
	if err != nil {
		return 0, nil, err
	}
	if _, err := a.Inbox.MarkAll(r.Context(), c.Env.ID, once, c.UserID, model.MarkReadOnly, nil, nil); err != nil {
		return 0, nil, err
	}
	return http.StatusOK, said("all notifications were marked as read"), nil
}

// allDeleted empties the inbox for good.
func (a *API) allDeleted(r *http.Request) (int, any, error) {
	c, once, err := a.whole(r, "deleteAllNotifications")
	if err != nil {
		return 0, nil, err
	}
	if _, err := a.Inbox.DeleteAll(r.Context(), c.Env.ID, once, c.UserID); err != nil {
		return 0, nil, err
	}
	return http.StatusOK, said("all notifications were deleted"), nil
}
