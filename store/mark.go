package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/uptrace/bun"

	"carillon/model"
)

// Every method here changes one inbox in one transaction that takes the
// inbox's lock first. It returns, besides the result, the hint to publish
// after the commit: nil when nothing changed, or the result is a stored one.

// MarkNotifications marks items of a user's inbox. The result has the items
// named as they are then, in the order of ids, each once; ids that name
// nothing in this inbox are NotFound. What is marked so already keeps its time,
// and an inbox in which all is so already keeps its seq.
func (s *Store) MarkNotifications(ctx context.Context, env model.EnvID, o model.Once, user model.UserID, ids []model.NotificationID, as model.MarkState) (model.Outcome[model.MarkResult], *model.Hint, error) {
	ids = unique(ids)
	var (
		hint  *model.Hint
		named []model.Notification
	)
	out, err := once(ctx, s, env, o, "marking notifications", func(ctx context.Context, tx bun.Tx) (model.MarkResult, error) {
		hint, named = nil, nil
		m, err := s.beginMarking(ctx, tx, env, user)
		if err != nil {
			return model.MarkResult{}, err
		}
		m.deed = model.Deed{As: as}
		affected, err := m.mark(ctx, as, "and n.id in ("+idList(ids)+")")
		if err != nil {
			return model.MarkResult{}, err
		}
		if named, err = m.read(ctx, "and n.id in ("+idList(ids)+")"); err != nil {
			return model.MarkResult{}, err
		}
		if affected > 0 {
			hint = m.hint(changedSince(named, m.inbox.Seq))
		}
		result := m.result(affected)
		result.Notifications, result.NotFound = inOrder(ids, named)
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

// MarkAll marks everything in a user's inbox that f selects and that had come
// to be so by upTo, a seq; nil is the inbox's head. A nil f selects what is not
// archived, or for UNARCHIVED what is. An upTo ahead of the head is a
// KindInvalid error.
//
// An item stays as it is when it came after upTo, or when, after upTo, the bit
// that the mark is about (read for INTERACTED, both for UNSEEN) or one that the
// filter asks about was set or cleared. For ARCHIVED and UNARCHIVED only the
// first counts, and a filter on archived asks about the present: an item keeps
// no history of its archiving.
//
// SEEN and READ of everything touch no item, however many there are: the inbox
// notes up to which seq all is seen or read. That holds for archived items too,
// though they are not counted in Affected and are no reason for a mark.
func (s *Store) MarkAll(ctx context.Context, env model.EnvID, o model.Once, user model.UserID, as model.MarkState, upTo *int64, f *model.InboxFilter) (model.Outcome[model.MarkResult], *model.Hint, error) {
	var hint *model.Hint
	out, err := once(ctx, s, env, o, "marking all", func(ctx context.Context, tx bun.Tx) (model.MarkResult, error) {
		hint = nil
		m, err := s.beginMarking(ctx, tx, env, user)
		if err != nil {
			return model.MarkResult{}, err
		}
		bound := m.inbox.Seq
		if upTo != nil {
			if bound = *upTo; bound > m.inbox.Seq {
				return model.MarkResult{}, errAhead
			}
		}
		whole := f == nil || f.IsDefault()
		m.deed = model.Deed{As: as, All: whole}
		var affected int64
		if (as == model.MarkSeen || as == model.MarkRead) && whole {
			affected, hint, err = m.raise(ctx, as, bound)
		} else {
			affected, hint, err = m.markWhere(ctx, as, bound, f)
		}
		return m.result(affected), err
	})
	if err != nil || out.Replayed {
		hint = nil
	}
	return out, hint, err
}

var errAhead = &model.Error{
	Kind: model.KindInvalid, Message: "invalid input",
	Problems: []model.Problem{{Code: model.ProblemInvalid, Path: []string{"upTo"}, Message: "is ahead of the inbox: give a position that this inbox gave out"}},
}

// DeleteNotifications deletes items of a user's inbox for good; tombstones
// stay. The result has the ids that were deleted and those that name nothing
// in this inbox, both in the order of ids.
func (s *Store) DeleteNotifications(ctx context.Context, env model.EnvID, o model.Once, user model.UserID, ids []model.NotificationID) (model.Outcome[model.MarkResult], *model.Hint, error) {
	ids = unique(ids)
	var hint *model.Hint
	out, err := once(ctx, s, env, o, "deleting notifications", func(ctx context.Context, tx bun.Tx) (model.MarkResult, error) {
		hint = nil
		m, err := s.beginMarking(ctx, tx, env, user)
		if err != nil {
			return model.MarkResult{}, err
		}
		deleted, missing, err := m.bury(ctx, ids)
		if err != nil {
			return model.MarkResult{}, err
		}
		if len(deleted) > 0 {
			hint = m.hint(nil)
			hint.Change.Removed = deleted
		}
		result := m.result(int64(len(deleted)))
		result.Deleted, result.NotFound = deleted, missing
		return result, nil
	})
	if err != nil || out.Replayed {
		hint = nil
	}
	return out, hint, err
}

// marking is one change of one inbox.
type marking struct {
	s     *Store
	tx    bun.Tx
	env   model.EnvID
	user  model.UserID
	inbox inboxRow // as it is by now
	found bool     // there is an inbox, and its lock is held
	now   int64
	deed  model.Deed // for those who watch
}

func (s *Store) beginMarking(ctx context.Context, tx bun.Tx, env model.EnvID, user model.UserID) (*marking, error) {
	inbox, found, err := s.lockInbox(ctx, tx, env, user)
	if err != nil {
		return nil, fmt.Errorf("locking inbox: %w", err)
	}
	return &marking{s: s, tx: tx, env: env, user: user, inbox: inbox, found: found, now: micros(s.now())}, nil
}

// items is what every condition on the inbox's items begins with. Where there
// was no inbox to lock there are none: an item that has just come is not ours
// to touch.
func (m *marking) items() string {
	if !m.found {
		return "1 = 0 "
	}
	return fmt.Sprintf("n.env_id = %d and n.user_id = %d and n.in_inbox and n.deleted_at is null ", m.env, m.user)
}

func (m *marking) unseen() string {
	return fmt.Sprintf("(n.seen_at is null and n.seen_seq > %d)", m.inbox.SeenUpTo)
}

// neverSeen is what has no time at which it was seen. Of these, what was read
// all the same is not unseen, and has the seq of that state as a negative
// number.
func (m *marking) neverSeen() string {
	return fmt.Sprintf("(n.seen_at is null and abs(n.seen_seq) > %d)", m.inbox.SeenUpTo)
}

func (m *marking) unread() string {
	return fmt.Sprintf("(n.read_at is null and n.read_seq > %d)", m.inbox.ReadUpTo)
}

// tally counts items: all of them, and of those that are not archived all, the
// unseen and the unread; and, archived or not, the unseen and the unread.
type tally struct {
	all                    int64
	total, unseen, unread  int64
	everUnseen, everUnread int64
	neverSeen              int64 // not archived, without a time at which it was seen
}

func (m *marking) count(ctx context.Context, where string) (t tally, err error) {
	err = m.tx.NewRaw(fmt.Sprintf(`select count(*), count(*) filter (where n.archived_at is null),
			count(*) filter (where n.archived_at is null and %[1]s), count(*) filter (where n.archived_at is null and %[2]s),
			count(*) filter (where %[1]s), count(*) filter (where %[2]s), count(*) filter (where n.archived_at is null and %[5]s)
		from notifications n where %[3]s%[4]s`, m.unseen(), m.unread(), m.items(), where, m.neverSeen())).
		Scan(ctx, &t.all, &t.total, &t.unseen, &t.unread, &t.everUnseen, &t.everUnread, &t.neverSeen)
	return t, err
}

// mark marks the items that the condition selects and that are not so yet, and
// moves the inbox when there are any.
func (m *marking) mark(ctx context.Context, as model.MarkState, where string) (affected int64, err error) {
	where += " and " + m.unlike(as)
	t, err := m.count(ctx, where)
	if err != nil || t.all == 0 {
		return 0, err
	}
	if err := m.move(ctx, t.moves(as)); err != nil {
		return 0, err
	}
	if _, err := m.tx.NewRaw(fmt.Sprintf("update notifications as n set seq = %d, %s where %s%s", m.inbox.Seq, m.sets(as), m.items(), where)).Exec(ctx); err != nil {
		return 0, err
	}
	return t.all, m.tell(ctx, model.MarkEvent(as), "", fmt.Sprintf("n.seq = %d", m.inbox.Seq))
}

// tell tells of items of this user that a condition selects, those that are
// gone included.
func (m *marking) tell(ctx context.Context, t model.WebhookEventType, cause, condition string) error {
	heard, err := m.s.hears(ctx, m.tx, m.env, t)
	if err != nil || !heard {
		return err
	}
	var rows []struct {
		ID     model.NotificationID
		SendID model.SendID
	}
	if err := m.tx.NewRaw("select n.id, n.send_id from notifications n where n.env_id = ? and n.user_id = ? and n.in_inbox and "+condition+" order by n.id", m.env, m.user).Scan(ctx, &rows); err != nil {
		return fmt.Errorf("reading what to tell of: %w", err)
	}
	events := make([]model.WebhookEvent, len(rows))
	for i, r := range rows {
		events[i] = notificationEvent(t, m.env, m.user, r.ID, r.SendID)
		events[i].Data.Cause = cause
	}
	return m.s.tell(ctx, m.tx, events)
}

// unlike says which items a mark would change.
func (m *marking) unlike(as model.MarkState) string {
	switch as {
	case model.MarkSeen:
		return m.neverSeen()
	case model.MarkUnseenOnly:
		return "(not " + m.neverSeen() + ")"
	case model.MarkReadOnly:
		return m.unread()
	case model.MarkUnseen:
		return "(not " + m.unseen() + " or not " + m.unread() + ")"
	case model.MarkRead:
		return "(" + m.unread() + " or " + m.neverSeen() + ")"
	case model.MarkUnread:
		return "(not " + m.unread() + ")"
	case model.MarkInteracted:
		return "(" + m.unread() + " or " + m.neverSeen() + " or n.interacted_at is null)"
	case model.MarkArchived:
		return "n.archived_at is null"
	case model.MarkUnarchived:
		return "n.archived_at is not null"
	}
	return "false"
}

// sets is what a mark makes of an item. Clearing seen gives both bits the new
// seq, so that an item which is unseen has been unread for just as long: a
// mark-all can then never find it read and yet unseen.
func (m *marking) sets(as model.MarkState) string {
	set := func(at, seq, condition string) string {
		return fmt.Sprintf("%[1]s = case when %[3]s then %[4]d else n.%[1]s end, %[2]s = case when %[3]s then %[5]d else n.%[2]s end", at, seq, condition, m.now, m.inbox.Seq)
	}
	seen, read := set("seen_at", "seen_seq", m.neverSeen()), set("read_at", "read_seq", m.unread())
	switch as {
	case model.MarkSeen:
		return seen
	case model.MarkReadOnly:
		return fmt.Sprintf("%s, seen_seq = case when %s then %d else n.seen_seq end", read, m.unseen(), -m.inbox.Seq)
	case model.MarkUnseenOnly:
		return fmt.Sprintf("seen_at = null, seen_seq = case when %[1]s then %[2]d else -%[2]d end, read_seq = case when %[1]s then %[2]d else n.read_seq end", m.unread(), m.inbox.Seq)
	case model.MarkUnseen:
		return fmt.Sprintf("seen_at = null, seen_seq = %[1]d, read_at = null, read_seq = %[1]d", m.inbox.Seq)
	case model.MarkRead:
		return seen + ", " + read
	case model.MarkUnread:
		return fmt.Sprintf("read_at = null, read_seq = %[1]d, seen_seq = case when %[2]s then %[1]d else n.seen_seq end", m.inbox.Seq, m.neverSeen())
	case model.MarkInteracted:
		return fmt.Sprintf("%s, %s, interacted_at = coalesce(n.interacted_at, %d)", seen, read, m.now)
	case model.MarkArchived:
		return fmt.Sprintf("archived_at = %d", m.now)
	default: // MarkUnarchived
		return "archived_at = null"
	}
}

// moves is by how much the counters move when the items counted, all of which
// the mark changes, are marked.
func (t tally) moves(as model.MarkState) model.Counters {
	switch as {
	case model.MarkSeen:
		return model.Counters{Unseen: -t.unseen}
	case model.MarkUnseen:
		return model.Counters{Unseen: t.total - t.unseen, Unread: t.total - t.unread}
	case model.MarkRead, model.MarkInteracted, model.MarkReadOnly:
		return model.Counters{Unseen: -t.unseen, Unread: -t.unread}
	case model.MarkUnread: // all of them are read, so those that were never seen become unseen
		return model.Counters{Unseen: t.neverSeen, Unread: t.total}
	case model.MarkUnseenOnly: // all of them are seen, so those that are unread become unseen
		return model.Counters{Unseen: t.unread}
	case model.MarkArchived:
		return model.Counters{Total: -t.all, Unseen: -t.unseen, Unread: -t.unread}
	case model.MarkUnarchived:
		return model.Counters{Total: t.all, Unseen: t.everUnseen, Unread: t.everUnread}
	}
	return model.Counters{}
}

// move gives the inbox its new seq and moves the counters by d.
func (m *marking) move(ctx context.Context, d model.Counters) error {
	m.inbox.Seq++
	m.inbox.Total += d.Total
	m.inbox.Unseen += d.Unseen
	m.inbox.Unread += d.Unread
	return moveInbox(ctx, m.tx, m.env, m.user, d)
}

// bury turns items into tombstones and moves the inbox when there are any. It
// returns the ids of those it found, and the others, in the order of ids.
func (m *marking) bury(ctx context.Context, ids []model.NotificationID) (found, missing []model.NotificationID, err error) {
	where := "and n.id in (" + idList(ids) + ")"
	var there []model.NotificationID
	if err := m.tx.NewRaw("select n.id from notifications n where "+m.items()+where).Scan(ctx, &there); err != nil {
		return nil, nil, err
	}
	is := make(map[model.NotificationID]bool, len(there))
	for _, id := range there {
		is[id] = true
	}
	for _, id := range ids {
		if is[id] {
			found = append(found, id)
		} else {
			missing = append(missing, id)
		}
	}
	if len(found) == 0 {
		return nil, missing, nil
	}
	t, err := m.count(ctx, where)
	if err != nil {
		return nil, nil, err
	}
	if err := m.move(ctx, model.Counters{Total: -t.total, Unseen: -t.unseen, Unread: -t.unread}); err != nil {
		return nil, nil, err
	}
	if _, err := m.tx.NewRaw(fmt.Sprintf("update notifications as n set seq = %d, deleted_at = %d, personal = null where %s%s", m.inbox.Seq, m.now, m.items(), where)).Exec(ctx); err != nil {
		return nil, nil, err
	}
	return found, missing, m.tell(ctx, model.EventNotificationDeleted, model.CauseDeleted, "n.id in ("+idList(found)+")")
}

// read reads the items that the condition selects, as they are by now.
func (m *marking) read(ctx context.Context, where string) ([]model.Notification, error) {
	list, err := notifications(ctx, m.tx, m.env, "where "+m.items()+where)
	if err != nil {
		return nil, fmt.Errorf("reading notifications: %w", err)
	}
	return list, nil
}

func (m *marking) result(affected int64) model.MarkResult {
	return model.MarkResult{Affected: affected, Counters: m.inbox.counters(), Seq: m.inbox.Seq, UserID: m.user}
}

// hint tells of the change, in which these items changed. Beyond what one
// catch-up may hold, it says only that there is one.
func (m *marking) hint(changed []model.Notification) *model.Hint {
	h := model.Hint{Key: model.InboxKey(m.env, m.user), Seq: m.inbox.Seq}
	if len(changed) <= model.MaxCatchUp {
		newestFirst(changed)
		h.Change = &model.InboxChange{Env: m.env, User: m.user, Seq: m.inbox.Seq, Counters: m.inbox.counters(), Changed: changed, Deed: m.deed}
	}
	return &h
}

// speak puts the contents back that a stored result leaves out: from the rows
// just read, or else from the sends, and what is personal from its rows.
func (s *Store) speak(ctx context.Context, env model.EnvID, list, read []model.Notification) error {
	said := map[model.NotificationID]*model.Content{}
	for _, n := range read {
		said[n.ID] = n.Content
	}
	var missing []model.SendID
	for _, n := range list {
		if said[n.ID] == nil {
			missing = append(missing, n.SendID)
		}
	}
	sends, err := s.Sends(ctx, env, missing)
	if err != nil {
		return err
	}
	var own []model.NotificationID
	for i := range list {
		n := &list[i]
		if n.Content = said[n.ID]; n.Content == nil {
			c := sends[n.SendID].Content
			if n.Content = &c; c.Personal != 0 {
				own = append(own, n.ID)
			}
		}
	}
	return s.speakPersonally(ctx, env, list, own)
}

// inOrder sorts what was found by ids, without contents, and lists the ids
// that were not found.
func inOrder(ids []model.NotificationID, found []model.Notification) (list []model.Notification, missing []model.NotificationID) {
	byID := make(map[model.NotificationID]model.Notification, len(found))
	for _, n := range found {
		byID[n.ID] = n
	}
	for _, id := range ids {
		n, ok := byID[id]
		if !ok {
			missing = append(missing, id)
			continue
		}
		n.Content = nil
		list = append(list, n)
	}
	return list, missing
}

func changedSince(list []model.Notification, seq int64) []model.Notification {
	return slices.DeleteFunc(slices.Clone(list), func(n model.Notification) bool { return n.Seq < seq })
}

// unique is ids with each one once, in their order.
func unique(ids []model.NotificationID) []model.NotificationID {
	seen := make(map[model.NotificationID]bool, len(ids))
	return slices.DeleteFunc(slices.Clone(ids), func(id model.NotificationID) bool {
		had := seen[id]
		seen[id] = true
		return had
	})
}
