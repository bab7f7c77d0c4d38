package store

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"

	"carillon/model"
)

// InboxPage reads a page of a user's inbox by its number, newest first, with
// how many items the filter selects and the counters, all as of one moment. A
// page beyond the end is empty and costs nothing. A user who does not exist is
// a KindNotFound error; one who was never sent anything has an empty inbox.
func (s *Store) InboxPage(ctx context.Context, env model.EnvID, user model.UserID, f model.InboxFilter, at model.PageNumber) (model.NumberedInbox, error) {
	var (
		row   notificationRow
		out   model.NumberedInbox
		found bool
		said  = contents{}
	)
	rows, err := s.r.DB.QueryContext(ctx, numberedStatement(f, at), int64(env), int64(user))
	err = scanEach(rows, err, row.into(&out.Seq, &out.Counters.Total, &out.Counters.Unseen, &out.Counters.Unread, &out.Matching), func() error {
		if found = true; !row.id.ok {
			return nil
		}
		n, err := row.model(env, said)
		out.Items = append(out.Items, n)
		return err
	})
	if err == nil && !found {
		err = userExists(ctx, s.r, env, user)
	}
	if err != nil {
		return model.NumberedInbox{}, s.fail("reading inbox page", err)
	}
	return out, nil
}

// numberedStatement is the query of [Store.InboxPage], for both databases. What
// the counters know is not counted. The walk to the page begins only when the
// page is not beyond the end of the inbox, which bounds what a number can cost
// by the size of the inbox.
func numberedStatement(f model.InboxFilter, at model.PageNumber) string {
	where := "n.env_id = $1 and n.user_id = $2 and n.in_inbox and n.deleted_at is null" +
		inboxFilter(f, "(n.seen_at is null and n.seen_seq > (select seen_up_to from i))", "(n.read_at is null and n.read_seq > (select read_up_to from i))")
	matching := "(select count(*) from notifications n where " + where + ")"
	active := f.Archived != nil && !*f.Archived
	beyond := ""
	if active {
		beyond = fmt.Sprintf(" and (select total from i) > %d", at.Offset())
	}
	if rest := (model.InboxFilter{Archived: f.Archived, Unread: f.Unread}); active && f.Unseen == nil && f.Interacted == nil && f.Categories == nil {
		switch {
		case rest.Unread == nil:
			matching = "i.total"
		case *rest.Unread:
			matching = "i.unread"
		default:
			matching = "i.total - i.unread"
		}
	}
	return fmt.Sprintf(`with i as (select * from inboxes where env_id = $1 and user_id = $2)
		select i.seq, i.total, i.unseen, i.unread, %s, %s
		from i left join (select n.* from notifications n where %s%s order by n.sort_at desc, n.id desc limit %d offset %d) n on true
		left join sends s on s.env_id = n.env_id and s.id = n.send_id
		order by n.sort_at desc, n.id desc`, matching, notificationColumns, where, beyond, at.Limit, at.Offset())
}

// MarkPage marks the items of a page of a user's inbox, as [Store.InboxPage]
// would show it. The result has no notifications.
func (s *Store) MarkPage(ctx context.Context, env model.EnvID, o model.Once, user model.UserID, f model.InboxFilter, at model.PageNumber, as model.MarkState) (model.Outcome[model.MarkResult], *model.Hint, error) {
	var hint *model.Hint
	out, err := once(ctx, s, env, o, "marking a page", func(ctx context.Context, tx bun.Tx) (model.MarkResult, error) {
		hint = nil
		m, err := s.beginMarking(ctx, tx, env, user)
		if err != nil {
			return model.MarkResult{}, err
		}
		m.deed = model.Deed{As: as, All: true}
		var ids []model.NotificationID
		if at.Offset() < m.inbox.Total || f.Archived == nil || *f.Archived {
			err = tx.NewRaw(fmt.Sprintf("select n.id from notifications n where %s%s order by n.sort_at desc, n.id desc limit %d offset %d",
				m.items(), inboxFilter(f, m.unseen(), m.unread()), at.Limit, at.Offset())).Scan(ctx, &ids)
		}
		if err != nil || len(ids) == 0 {
			return m.result(0), err
		}
		affected, err := m.mark(ctx, as, "and n.id in ("+idList(ids)+")")
		if err != nil || affected == 0 {
			return m.result(affected), err
		}
		changed, err := m.read(ctx, fmt.Sprintf("and n.seq = %d", m.inbox.Seq))
		hint = m.hint(changed)
		return m.result(affected), err
	})
	if err != nil || out.Replayed {
		hint = nil
	}
	return out, hint, err
}

// DeleteAll deletes everything in a user's inbox that is not archived, for
// good; tombstones stay. The result does not list what was deleted.
func (s *Store) DeleteAll(ctx context.Context, env model.EnvID, o model.Once, user model.UserID) (model.Outcome[model.MarkResult], *model.Hint, error) {
	var hint *model.Hint
	out, err := once(ctx, s, env, o, "deleting all notifications", func(ctx context.Context, tx bun.Tx) (model.MarkResult, error) {
		hint = nil
		m, err := s.beginMarking(ctx, tx, env, user)
		if err != nil {
			return model.MarkResult{}, err
		}
		m.deed = model.Deed{All: true}
		const where = "and n.archived_at is null"
		t, err := m.count(ctx, where)
		if err != nil || t.all == 0 {
			return m.result(0), err
		}
		if err := m.move(ctx, model.Counters{Total: -t.total, Unseen: -t.unseen, Unread: -t.unread}); err != nil {
			return model.MarkResult{}, err
		}
		var gone []model.NotificationID
		if t.all <= model.MaxCatchUp {
			if err := tx.NewRaw("select n.id from notifications n where "+m.items()+where).Scan(ctx, &gone); err != nil {
				return model.MarkResult{}, err
			}
		}
		if _, err = tx.NewRaw(fmt.Sprintf("update notifications as n set seq = %d, deleted_at = %d, personal = null where %s%s", m.inbox.Seq, m.now, m.items(), where)).Exec(ctx); err != nil {
			return model.MarkResult{}, err
		}
		hint = m.hint(nil)
		if t.all <= model.MaxCatchUp {
			hint.Change.Removed = gone
		} else {
			hint.Change = nil // whoever watches reads what there is
		}
		return m.result(t.all), nil
	})
	if err != nil || out.Replayed {
		hint = nil
	}
	return out, hint, err
}
