package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/uptrace/bun"

	"carillon/model"
)

// EditSend changes what a send says, for whoever reads it from now on and for
// every notification that is yet to be made of it; inboxes are told by
// [Store.SpreadEdit]. A change that changes nothing is none. A send that was
// recalled, or cancelled before it went out, is a KindConflict error, and an id
// that names none a KindNotFound one.
func (s *Store) EditSend(ctx context.Context, env model.EnvID, o model.Once, id model.SendID, change model.ContentChange) (model.Outcome[model.Send], error) {
	return once(ctx, s, env, o, "editing send", func(ctx context.Context, tx bun.Tx) (model.Send, error) {
		m, err := s.holdSend(ctx, tx, env, id)
		switch {
		case err != nil:
			return m, err
		case !m.RecalledAt.IsZero():
			return m, model.Conflict("names a send that was recalled: send anew", "id")
		case m.Status == model.SendCanceled && m.FiredAt.IsZero():
			return m, model.Conflict("names a send that was cancelled before it went out: send anew", "id")
		case !change.Apply(&m.Content):
			return m, nil
		}
		m.Content.Edition++
		m.Content.EditedAt = at(micros(s.now()))
		title, rest, err := encodeContent(m.Content)
		if err != nil {
			return m, err
		}
		spread := m.Status != model.SendScheduled // else nobody has it yet
		_, err = tx.NewRaw("update sends set title = ?, content = ?, edition = ?, editing = ?, edit_reached = 0 where env_id = ? and id = ?",
			title, rest, m.Content.Edition, one(spread), env, id).Exec(ctx)
		return m, err
	})
}

// EditedSend finds a send, of any environment, of whose edit some inboxes have
// not been told: the one that has come least far, but for some.
func (s *Store) EditedSend(ctx context.Context, except []model.SendID) (env model.EnvID, id model.SendID, found bool, err error) {
	env, id, found, err = s.leastFar(ctx, "editing = 1", "edit_reached", except)
	return env, id, found, s.fail("finding what was edited", err)
}

// editing is how far the edit of a send has come.
type editing struct {
	env         model.EnvID
	id          model.SendID
	Edition     int64
	EditReached model.UserID
	personal    map[model.UserID]sql.NullString // what a personal send says to those who are to be told
}

// SpreadEdit tells the inboxes of up to limit users, in one transaction, that
// what a send says was edited: its notifications change there, but for those that
// are gone, and neither their states nor counters do. more is false when there is
// nobody left. Several processes may do this at once. Of texts that are personal,
// speak is asked before the transaction.
func (s *Store) SpreadEdit(ctx context.Context, env model.EnvID, id model.SendID, limit int, speak model.Speaker) (more bool, hints []model.Hint, err error) {
	e := editing{env: env, id: id}
	err = s.r.NewRaw("select edition, edit_reached from sends where env_id = ? and id = ? and editing = 1", env, id).Scan(ctx, &e.Edition, &e.EditReached)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil, nil
	}
	if err != nil {
		return false, nil, s.fail("reading how far an edit has come", err)
	}
	var due []dueNotification
	err = s.r.NewRaw("select env_id, user_id, id, send_id from notifications where env_id = ? and send_id = ? and user_id > ? and deleted_at is null order by user_id limit ?",
		env, id, e.EditReached, limit).Scan(ctx, &due)
	if err != nil {
		return false, nil, s.fail("reading what was edited", err)
	}
	if due, err = s.speakAnew(ctx, &e, due, speak); err != nil {
		return false, nil, err
	}
	err = s.write(ctx, "spreading an edit", func(ctx context.Context, tx bun.Tx) (err error) {
		if hints = nil; len(due) == 0 {
			more, err = e.end(ctx, tx)
			return err
		}
		more = true
		if hints, err = s.spreadTo(ctx, tx, e, due); err != nil {
			return err
		}
		reached := due[len(due)-1].UserID
		_, err = tx.NewRaw("update sends set edit_reached = ? where env_id = ? and id = ? and editing = 1 and edition = ? and edit_reached < ?", reached, env, id, e.Edition, reached).Exec(ctx)
		return err
	})
	return more, hints, err
}

// speakAnew has speak say what a personal send says to those who are due, or to the
// first of them, who are returned. An edit that has come meanwhile begins the walk
// anew.
func (s *Store) speakAnew(ctx context.Context, e *editing, due []dueNotification, speak model.Speaker) ([]dueNotification, error) {
	if len(due) == 0 {
		return due, nil
	}
	found, err := s.Sends(ctx, e.env, []model.SendID{e.id})
	m := found[e.id]
	if err != nil || m.Content.Personal == 0 {
		return due, err
	}
	users := make([]model.UserID, len(due))
	for i, d := range due {
		users[i] = d.UserID
	}
	said, err := speak(ctx, m, users)
	if err != nil {
		return nil, fmt.Errorf("rendering anew: %w", err)
	}
	e.personal = make(map[model.UserID]sql.NullString, len(said))
	for i, text := range said {
		if e.personal[users[i]], err = personal(m.Content.For(text)); err != nil {
			return nil, err
		}
	}
	return due[:len(said)], nil
}

// end ends the walk through the users of a send or, when a merge has moved a
// notification to a user whom it had passed, begins it anew. Another edit has
// begun it anew already.
func (e editing) end(ctx context.Context, tx bun.Tx) (more bool, err error) {
	var left int64
	err = tx.NewRaw("select count(*) from (select 1 from notifications where env_id = ? and send_id = ? and deleted_at is null and coalesce(edition, 0) < ? limit 1) x",
		e.env, e.id, e.Edition).Scan(ctx, &left)
	if err != nil {
		return false, err
	}
	_, err = tx.NewRaw("update sends set editing = ?, edit_reached = 0 where env_id = ? and id = ? and editing = 1 and edition = ?", left, e.env, e.id, e.Edition).Exec(ctx)
	return left > 0, err
}

// spreadTo tells the inboxes of notifications. Those that have been told by
// another process, or are gone or another user's by then, are left alone.
func (s *Store) spreadTo(ctx context.Context, tx bun.Tx, e editing, due []dueNotification) ([]model.Hint, error) {
	inboxes, err := s.lockInboxes(ctx, tx, due)
	if err != nil {
		return nil, fmt.Errorf("locking inboxes: %w", err)
	}
	var keys values
	for _, d := range due {
		keys.row(d.EnvID, d.ID, d.UserID)
	}
	var told []struct {
		dueNotification
		InInbox bool
	}
	err = tx.NewRaw(`update notifications as n set edition = ?, personal = null,
			seq = coalesce((select i.seq + 1 from inboxes i where n.in_inbox and i.env_id = n.env_id and i.user_id = n.user_id), n.seq)
		where (n.env_id, n.id, n.user_id) in (values `+keys.String()+`) and n.deleted_at is null and coalesce(n.edition, 0) < ?
		returning env_id, user_id, id, send_id, in_inbox`, append(append([]any{e.Edition}, keys.args...), e.Edition)...).Scan(ctx, &told)
	if err != nil {
		return nil, fmt.Errorf("noting the edition: %w", err)
	}
	changed := map[inboxKey]bool{}
	var ids []model.NotificationID
	var events []model.WebhookEvent
	own := make(map[model.NotificationID]sql.NullString, len(e.personal))
	for _, d := range told {
		if text, ok := e.personal[d.UserID]; ok {
			own[d.ID] = text
		}
		events = append(events, notificationEvent(model.EventNotificationEdited, d.EnvID, d.UserID, d.ID, d.SendID))
		if d.InInbox && inboxes[d.inbox()] != nil {
			changed[d.inbox()] = true
			ids = append(ids, d.ID)
		}
	}
	if err := writePersonal(ctx, tx, e.env, own); err != nil {
		return nil, fmt.Errorf("writing personal texts: %w", err)
	}
	if err := s.tell(ctx, tx, events); err != nil || len(ids) == 0 {
		return nil, err
	}
	if err := stepInboxes(ctx, tx, changed); err != nil {
		return nil, fmt.Errorf("moving inboxes: %w", err)
	}
	list, err := notifications(ctx, tx, e.env, "where n.env_id = ? and n.id in ("+idList(ids)+")", e.env)
	if err != nil {
		return nil, fmt.Errorf("reading notifications: %w", err)
	}
	return editHints(list, inboxes), nil
}

// stepInboxes gives inboxes, which are locked, their next seq.
func stepInboxes(ctx context.Context, tx bun.IDB, inboxes map[inboxKey]bool) error {
	var keys values
	for k := range inboxes {
		keys.row(k.env, k.user)
	}
	_, err := tx.NewRaw("update inboxes set seq = seq + 1 where (env_id, user_id) in (values "+keys.String()+")", keys.args...).Exec(ctx)
	return err
}

// editHints are the changes of inboxes, which had these numbers before, in which
// the notifications listed have changed.
func editHints(list []model.Notification, inboxes map[inboxKey]*losingInbox) []model.Hint {
	changes := map[inboxKey]*model.InboxChange{}
	var hints []model.Hint
	for _, n := range list {
		k := inboxKey{n.EnvID, n.UserID}
		c := changes[k]
		if c == nil {
			c = &model.InboxChange{Env: k.env, User: k.user, Seq: inboxes[k].seq + 1, Counters: inboxes[k].counters}
			changes[k] = c
			hints = append(hints, c.Hint())
		}
		c.Changed = append(c.Changed, n)
	}
	return hints
}

// stampEdition notes on the notifications of a chunk which edition of the send
// they were made of, once there was an edit: processes may remember what it said
// before.
func stampEdition(ctx context.Context, tx bun.IDB, p *model.PendingSend) error {
	if p.Send.Content.Edition == 0 || len(p.Notifications) == 0 {
		return nil
	}
	ids := column(p.Notifications, func(n model.Notification) model.NotificationID { return n.ID })
	_, err := tx.NewRaw("update notifications set edition = ? where env_id = ? and id in ("+idList(ids)+")", p.Send.Content.Edition, p.Send.EnvID).Exec(ctx)
	return err
}
