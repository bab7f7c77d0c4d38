package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/uptrace/bun"

	"carillon/model"
)

// changesStatement reads all that a catch-up after seq $3 holds, in one
// moment: the inbox, the first mark-all of each kind since then, and rows, one
// more than it may have at most.
//
// The first marks are enough. Whoever applies them marks all that they hold,
// which is right for what had its state by the lower of the two upTo; every
// item that changed after that is among the rows, as it is now. A tombstone is
// among them only if it was made since, of an item that was there before.
var changesStatement = fmt.Sprintf(`with
	i as (select * from inboxes where env_id = $1 and user_id = $2),
	ms as (select up_to_seq, seq, at from inbox_marks where env_id = $1 and user_id = $2 and kind = 1 and seq > $3 order by up_to_seq limit 1),
	mr as (select up_to_seq, seq, at from inbox_marks where env_id = $1 and user_id = $2 and kind = 2 and seq > $3 order by up_to_seq limit 1),
	n as (select * from notifications n where n.env_id = $1 and n.user_id = $2 and n.in_inbox
		and n.seq > (select min(v) from (select cast($3 as bigint) as v union all select up_to_seq from ms union all select up_to_seq from mr) f)
		and (n.deleted_at is null or n.seq > $3 and n.added_seq <= $3) limit %d)
	select i.seq, i.total, i.unseen, i.unread, i.trimmed_to, ms.up_to_seq, ms.seq, ms.at, mr.up_to_seq, mr.seq, mr.at,
		n.added_seq, n.deleted_at, %s
	from i left join ms on true left join mr on true left join n on true left join sends s on s.env_id = n.env_id and s.id = n.send_id`,
	model.MaxCatchUp+1, notificationColumns)

// Changes reads what happened in a user's inbox after a seq: items that are
// new, changed or gone, as they are now, newest first, and mark-alls. Changed
// also holds every item that must be put right after the mark-alls were
// applied to all of the inbox. Beyond model.MaxCatchUp items, or when what was
// missed is no longer kept, it says TooMany. An after ahead of the head gives
// no changes. A user who does not exist is a KindNotFound error.
func (s *Store) Changes(ctx context.Context, env model.EnvID, user model.UserID, after int64) (model.Changes, error) {
	var (
		out                    model.Changes
		trimmed, added, buried number
		seen, read             markRow
		row                    notificationRow
		found                  bool
		rows                   int
		said                   = contents{}
	)
	dest := row.into(&out.Head, &out.Counters.Total, &out.Counters.Unseen, &out.Counters.Unread, &trimmed,
		&seen.upTo, &seen.seq, &seen.at, &read.upTo, &read.seq, &read.at, &added, &buried)
	result, err := s.query(ctx, changesStatement, int64(env), int64(user), after)
	err = scanEach(result, err, dest, func() error {
		if found = true; !row.id.ok {
			return nil
		}
		if rows++; rows > model.MaxCatchUp {
			return nil
		}
		n, err := row.model(env, said)
		switch {
		case buried.ok:
			out.Removed = append(out.Removed, n.ID)
		case added.v > after:
			out.Added = append(out.Added, n)
		default:
			out.Changed = append(out.Changed, n)
		}
		return err
	})
	if err == nil && !found {
		err = userExists(ctx, s.r, env, user)
	}
	if err != nil {
		return model.Changes{}, s.fail("reading changes", err)
	}
	if rows > model.MaxCatchUp || after < trimmed.v {
		return model.Changes{Head: out.Head, TooMany: true}, nil
	}
	newestFirst(out.Added)
	newestFirst(out.Changed)
	out.Marked = marksOf(seen, read)
	return out, nil
}

// markRow is the first mark-all of a kind, if there is one.
type markRow struct{ upTo, seq, at number }

// marksOf lists the mark-alls in the order in which they were made. Reading
// all is seeing all.
func marksOf(seen, read markRow) []model.InboxMark {
	var out []model.InboxMark
	if seen.seq.ok && seen.seq != read.seq {
		out = append(out, model.InboxMark{As: model.MarkSeen, UpTo: seen.upTo.v, At: at(seen.at.v)})
	}
	if read.seq.ok {
		out = append(out, model.InboxMark{As: model.MarkRead, UpTo: read.upTo.v, At: at(read.at.v)})
	}
	if len(out) == 2 && seen.seq.v > read.seq.v {
		slices.Reverse(out)
	}
	return out
}

// headsChunk bounds the keys that one statement asks for.
const headsChunk = 10000

// Heads reads where watched things are by now: the seq of an inbox, 0 for a
// user who was never sent anything; the revision of a send. What does not exist
// is absent.
func (s *Store) Heads(ctx context.Context, keys []model.LiveKey) (map[model.LiveKey]int64, error) {
	type group struct {
		env  model.EnvID
		kind model.LiveKind
	}
	groups := make(map[group][]int64)
	for _, k := range keys {
		g := group{k.Env, k.Kind}
		groups[g] = append(groups[g], k.ID)
	}
	out := make(map[model.LiveKey]int64, len(keys))
	for g, ids := range groups {
		read := s.inboxHeads
		if g.kind == model.LiveSend {
			read = s.sendHeads
		}
		for chunk := range slices.Chunk(ids, headsChunk) {
			if err := read(ctx, g.env, chunk, out); err != nil {
				return nil, s.fail("reading heads", err)
			}
		}
	}
	return out, nil
}

// inboxHeads asks for the inboxes, and only for users without one whether they
// exist.
func (s *Store) inboxHeads(ctx context.Context, env model.EnvID, users []int64, heads map[model.LiveKey]int64) error {
	var (
		user model.UserID
		seq  int64
	)
	rows, err := s.r.QueryContext(ctx, "select user_id, seq from inboxes where env_id = ? and user_id in ("+idList(users)+")", env)
	err = scanEach(rows, err, []any{&user, &seq}, func() error {
		heads[model.InboxKey(env, user)] = seq
		return nil
	})
	if err != nil {
		return err
	}
	rest := slices.DeleteFunc(slices.Clone(users), func(u int64) bool {
		_, ok := heads[model.InboxKey(env, model.UserID(u))]
		return ok
	})
	if len(rest) == 0 {
		return nil
	}
	rows, err = s.r.QueryContext(ctx, "select id from users where env_id = ? and id in (?)", env, bun.List(rest))
	return scanEach(rows, err, []any{&user}, func() error {
		heads[model.InboxKey(env, user)] = 0
		return nil
	})
}

func (s *Store) sendHeads(ctx context.Context, env model.EnvID, sends []int64, heads map[model.LiveKey]int64) error {
	var m model.Send
	rows, err := s.r.QueryContext(ctx, "select id, status, done, skipped, failed from sends where env_id = ? and id in ("+idList(sends)+")", env)
	return scanEach(rows, err, []any{&m.ID, &m.Status, &m.Progress.Done, &m.Progress.Skipped, &m.Progress.Failed}, func() error {
		heads[model.SendKey(env, m.ID)] = m.Head()
		return nil
	})
}
