package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"github.com/uptrace/bun"

	"carillon/model"
)

// SetNotificationState gives a notification of a user's inbox a state of the
// customer's own, notes that it was interacted with, and keeps what was filled
// in; seen and read stay as they are. The result has the notification with its
// new state, also when the change deletes it. An id that names nothing in this
// inbox is NotFound.
func (s *Store) SetNotificationState(ctx context.Context, env model.EnvID, o model.Once, user model.UserID, id model.NotificationID, change model.StateChange) (model.Outcome[model.MarkResult], *model.Hint, error) {
	var (
		hint  *model.Hint
		named []model.Notification
	)
	out, err := once(ctx, s, env, o, "changing the state of a notification", func(ctx context.Context, tx bun.Tx) (model.MarkResult, error) {
		hint, named = nil, nil
		m, err := s.beginMarking(ctx, tx, env, user)
		if err != nil {
			return model.MarkResult{}, err
		}
		m.deed = model.Deed{As: model.MarkInteracted}
		where := "and n.id = " + fmt.Sprint(int64(id))
		if named, err = m.read(ctx, where); err != nil || len(named) == 0 {
			result := m.result(0)
			result.NotFound = []model.NotificationID{id}
			return result, err
		}
		if err := m.interact(ctx, id, change); err != nil {
			return model.MarkResult{}, err
		}
		if named, err = m.read(ctx, where); err != nil {
			return model.MarkResult{}, err
		}
		result := m.result(1)
		if change.Delete {
			if result.Deleted, _, err = m.buryNow(ctx, id); err != nil {
				return model.MarkResult{}, err
			}
			result.Counters = m.inbox.counters()
			hint = m.hint(nil)
			hint.Change.Removed = result.Deleted
		} else {
			hint = m.hint(named)
		}
		result.Notifications, _ = inOrder([]model.NotificationID{id}, named)
		return result, nil
	})
	if err != nil {
		return out, nil, err
	}
	if out.Replayed {
		hint = nil
	}
	return out, hint, s.speak(ctx, env, out.Value.Notifications, named)
}

// interact writes the state and what was filled in, under the inbox's next seq.
func (m *marking) interact(ctx context.Context, id model.NotificationID, change model.StateChange) error {
	if err := m.move(ctx, model.Counters{}); err != nil {
		return err
	}
	_, err := m.tx.NewRaw("update notifications set seq = ?, state = ?, interacted_at = coalesce(interacted_at, ?) where env_id = ? and id = ?",
		m.inbox.Seq, change.State, m.now, m.env, id).Exec(ctx)
	if err != nil {
		return err
	}
	data := sql.NullString{String: string(change.Data), Valid: change.Data != nil}
	_, err = m.tx.NewRaw(`insert into interactions (env_id, notification_id, seq, user_id, state, data, at)
		values (?0, ?1, (select coalesce(max(seq), 0) + 1 from interactions where env_id = ?0 and notification_id = ?1), ?2, ?3, ?4, ?5)`,
		m.env, id, m.user, change.State, data, m.now).Exec(ctx)
	if err != nil {
		return fmt.Errorf("writing interaction: %w", err)
	}
	_, err = m.tx.NewRaw(`delete from interactions where env_id = ? and notification_id = ?
		and seq <= (select seq from interactions where env_id = ? and notification_id = ? order by seq desc limit 1 offset ?)`,
		m.env, id, m.env, id, model.MaxInteractions).Exec(ctx)
	if err != nil {
		return err
	}
	return m.tell(ctx, model.EventNotificationInteracted, "", fmt.Sprintf("n.id = %d", id))
}

// buryNow turns an item into a tombstone under the seq that the inbox has by
// now.
func (m *marking) buryNow(ctx context.Context, id model.NotificationID) (gone []model.NotificationID, t tally, err error) {
	where := "and n.id = " + fmt.Sprint(int64(id))
	if t, err = m.count(ctx, where); err != nil {
		return nil, t, err
	}
	d := model.Counters{Total: -t.total, Unseen: -t.unseen, Unread: -t.unread}
	m.inbox.Total += d.Total
	m.inbox.Unseen += d.Unseen
	m.inbox.Unread += d.Unread
	_, err = m.tx.NewRaw("update inboxes set total = total + ?, unseen = unseen + ?, unread = unread + ? where env_id = ? and user_id = ?",
		d.Total, d.Unseen, d.Unread, m.env, m.user).Exec(ctx)
	if err != nil {
		return nil, t, err
	}
	_, err = m.tx.NewRaw(fmt.Sprintf("update notifications as n set seq = %d, deleted_at = %d, personal = null where %s%s", m.inbox.Seq, m.now, m.items(), where)).Exec(ctx)
	if err != nil {
		return nil, t, err
	}
	return []model.NotificationID{id}, t, m.tell(ctx, model.EventNotificationDeleted, model.CauseDeleted, fmt.Sprintf("n.id = %d", id))
}

type interactionRow struct {
	NotificationID model.NotificationID
	State          string
	Data           sql.NullString
	At             int64
}

// Interactions reads what users did to notifications, oldest first of each.
func (s *Store) Interactions(ctx context.Context, env model.EnvID, ids []model.NotificationID) (map[model.NotificationID][]model.Interaction, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	var rows []interactionRow
	err := s.r.NewRaw("select notification_id, state, data, at from interactions where env_id = ? and notification_id in (?) order by notification_id, seq", env, bun.List(ids)).Scan(ctx, &rows)
	if err != nil {
		return nil, s.fail("reading interactions", err)
	}
	out := make(map[model.NotificationID][]model.Interaction, len(ids))
	for _, r := range rows {
		i := model.Interaction{NotificationID: r.NotificationID, State: r.State, At: at(r.At)}
		if r.Data.Valid {
			i.Data = json.RawMessage(r.Data.String)
		}
		out[r.NotificationID] = append(out[r.NotificationID], i)
	}
	return out, nil
}
