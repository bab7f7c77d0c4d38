package store

import (
	"context"
	"database/sql"
	"fmt"

	"carillon/model"
)

// The kinds of inbox_marks.
const (
	markKindSeen = 1
	markKindRead = 2
)

// raise marks everything up to a seq as seen, or as read and seen, by noting
// that seq. It writes nothing when that changes no item that is counted.
//
// With the inbox's head for upTo nothing is read either: nothing unread is
// left, and the counter says how many there were. Otherwise what is left lies
// above upTo in the index of the unread.
func (m *marking) raise(ctx context.Context, as model.MarkState, upTo int64) (affected int64, hint *model.Hint, err error) {
	head, next := m.inbox.Seq, m.inbox
	if upTo <= next.ReadUpTo || as == model.MarkSeen && upTo <= next.SeenUpTo {
		return 0, nil, nil
	}
	next.SeenUpTo = max(next.SeenUpTo, upTo)
	if as == model.MarkRead {
		next.ReadUpTo = upTo
	}
	if err := m.countLeft(ctx, as, upTo < head, &next); err != nil {
		return 0, nil, err
	}
	if affected = m.inbox.Unseen - next.Unseen; as == model.MarkRead {
		affected = m.inbox.Unread - next.Unread // what is unseen is unread too
	}
	if affected == 0 {
		return 0, nil, nil
	}
	next.Seq = head + 1
	marks, err := m.note(ctx, as, upTo, next)
	if err != nil {
		return 0, nil, err
	}
	if err := m.s.tell(ctx, m.tx, []model.WebhookEvent{{
		EnvID: m.env, Type: model.MarkEvent(as), UserID: m.user, Data: model.WebhookData{All: true, Count: affected},
	}}); err != nil {
		return 0, nil, err
	}
	m.inbox = next
	// Whoever takes the mark from memory marks all they hold: what came or
	// changed after upTo must be put right in the same breath.
	var later []model.Notification
	if upTo < head {
		if later, err = m.read(ctx, fmt.Sprintf("and n.seq > %d limit %d", upTo, model.MaxCatchUp+1)); err != nil {
			return 0, nil, err
		}
	}
	if hint = m.hint(later); hint.Change != nil {
		hint.Change.Marked = marks
	}
	return affected, hint, nil
}

// countLeft sets the counters of next to what will be left, next having the
// seqs up to which all is seen and read then. What is unseen has been unread
// since at least as long, so both are among the unread that lie above.
func (m *marking) countLeft(ctx context.Context, as model.MarkState, some bool, next *inboxRow) error {
	var unseen, unread int64
	if some {
		above := next.SeenUpTo
		if as == model.MarkRead {
			above = next.ReadUpTo
		}
		err := m.tx.NewRaw(fmt.Sprintf(`select count(*) filter (where n.seen_at is null and n.seen_seq > %d), count(*)
			from notifications n where %s and n.archived_at is null and n.read_at is null and n.read_seq > %d`, next.SeenUpTo, m.items(), above)).
			Scan(ctx, &unseen, &unread)
		if err != nil {
			return fmt.Errorf("counting what is left: %w", err)
		}
	}
	next.Unseen = unseen
	if as == model.MarkRead {
		next.Unread = unread
	}
	return nil
}

// note writes the marks of a mark-all, of each kind that it raises, and the
// inbox. It returns what those who watch are to be told: READ says SEEN too.
func (m *marking) note(ctx context.Context, as model.MarkState, upTo int64, next inboxRow) ([]model.InboxMark, error) {
	var rows values
	if next.SeenUpTo > m.inbox.SeenUpTo {
		rows.row(m.env, m.user, markKindSeen, upTo, next.Seq, m.now)
	}
	if next.ReadUpTo > m.inbox.ReadUpTo {
		rows.row(m.env, m.user, markKindRead, upTo, next.Seq, m.now)
	}
	if _, err := m.tx.NewRaw("insert into inbox_marks (env_id, user_id, kind, up_to_seq, seq, at) values "+rows.String(), rows.args...).Exec(ctx); err != nil {
		return nil, fmt.Errorf("writing mark: %w", err)
	}
	_, err := m.tx.NewRaw("update inboxes set seq = ?, unseen = ?, unread = ?, seen_up_to = ?, read_up_to = ? where env_id = ? and user_id = ?",
		next.Seq, next.Unseen, next.Unread, next.SeenUpTo, next.ReadUpTo, m.env, m.user).Exec(ctx)
	if err != nil {
		return nil, fmt.Errorf("moving inbox: %w", err)
	}
	return []model.InboxMark{{As: as, UpTo: upTo, At: at(m.now)}}, nil
}

// markWhere marks the items that a filter selects and that have been so since
// upTo, set-wise.
func (m *marking) markWhere(ctx context.Context, as model.MarkState, upTo int64, f *model.InboxFilter) (affected int64, hint *model.Hint, err error) {
	if f == nil {
		archived := as == model.MarkUnarchived
		f = &model.InboxFilter{Archived: &archived}
	}
	where := inboxFilter(*f, m.unseen(), m.unread())
	if upTo < m.inbox.Seq {
		since, err := m.since(ctx, as, upTo, *f)
		if err != nil {
			return 0, nil, err
		}
		where += since
	}
	if affected, err = m.mark(ctx, as, where); err != nil || affected == 0 {
		return 0, nil, err
	}
	if affected > model.MaxCatchUp {
		return affected, &model.Hint{Key: model.InboxKey(m.env, m.user), Seq: m.inbox.Seq}, nil
	}
	changed, err := m.read(ctx, fmt.Sprintf("and n.seq = %d", m.inbox.Seq))
	if err != nil {
		return 0, nil, err
	}
	return affected, m.hint(changed), nil
}

// since says which items had come by upTo and have kept, since then, the bits
// that the mark or the filter is about. A bit was last moved at the item's own
// seq for it or, where a mark-all covers the item, by the first that did:
// whether that was by upTo, the highest mark noted by then tells.
func (m *marking) since(ctx context.Context, as model.MarkState, upTo int64, f model.InboxFilter) (string, error) {
	var seenThen, readThen sql.NullInt64
	err := m.tx.NewRaw(`select max(up_to_seq) filter (where kind = ?), max(up_to_seq) filter (where kind = ?)
		from inbox_marks where env_id = ? and user_id = ? and seq <= ?`, markKindSeen, markKindRead, m.env, m.user, upTo).Scan(ctx, &seenThen, &readThen)
	if err != nil {
		return "", fmt.Errorf("reading marks: %w", err)
	}
	var seen, read bool
	switch as {
	case model.MarkSeen, model.MarkUnseenOnly:
		seen = true
	case model.MarkRead, model.MarkUnread, model.MarkInteracted, model.MarkReadOnly:
		read = true
	case model.MarkUnseen:
		seen, read = true, true
	case model.MarkArchived, model.MarkUnarchived:
	}
	where := fmt.Sprintf(" and n.added_seq <= %d", upTo)
	if seen || f.Unseen != nil {
		where += fmt.Sprintf(" and abs(n.seen_seq) <= case when n.seen_at is null and abs(n.seen_seq) <= %d then %d else %d end", m.inbox.SeenUpTo, seenThen.Int64, upTo)
	}
	if read || f.Unread != nil {
		where += fmt.Sprintf(" and n.read_seq <= case when n.read_at is null and n.read_seq <= %d then %d else %d end", m.inbox.ReadUpTo, readThen.Int64, upTo)
	}
	return where, nil
}
