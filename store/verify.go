package store

import (
	"context"
	"database/sql"

	"carillon/model"
)

// verifyBatch is how many inboxes one statement compares.
const verifyBatch = 1000

// VerifyCounters compares the counters of every inbox with its rows, in
// batches of inboxes, each as of one moment, while everything goes on. At most
// list of the inboxes that differ are listed; there should be none.
func (s *Store) VerifyCounters(ctx context.Context, list int) (model.Verification, error) {
	var envs []model.EnvID
	if err := s.r.NewRaw("select id from environments order by id").Scan(ctx, &envs); err != nil {
		return model.Verification{}, s.fail("verifying counters", err)
	}
	var out model.Verification
	for _, env := range envs {
		var after model.UserID
		for {
			last, err := s.verifyAfter(ctx, env, after, list, &out)
			if err != nil {
				return model.Verification{}, s.fail("verifying counters", err)
			}
			if last == 0 {
				break
			}
			after = last
		}
	}
	return out, nil
}

// verifyAfter compares the next inboxes after a user's and returns the last
// user it came to, 0 when there were none. The range stands in the statement
// twice, so that the rows are read from the index of just these users.
func (s *Store) verifyAfter(ctx context.Context, env model.EnvID, after model.UserID, list int, out *model.Verification) (model.UserID, error) {
	var (
		last  sql.NullInt64
		inbox int64
	)
	err := s.r.NewRaw("select max(user_id), count(*) from (select user_id from inboxes where env_id = ? and user_id > ? order by user_id limit ?) b", env, after, verifyBatch).
		Scan(ctx, &last, &inbox)
	if err != nil || inbox == 0 {
		return 0, err
	}
	out.Inboxes += inbox
	d := model.Drift{Env: env}
	rows, err := s.r.QueryContext(ctx, `select * from (
			select i.user_id, i.total, i.unseen, i.unread, count(n.id) as rows_total,
				count(n.id) filter (where `+isUnseen+`) as rows_unseen, count(n.id) filter (where `+isUnread+`) as rows_unread
			from inboxes i left join notifications n on n.env_id = ?0 and n.user_id = i.user_id and n.user_id > ?1 and n.user_id <= ?2
				and n.in_inbox and n.deleted_at is null and n.archived_at is null
			where i.env_id = ?0 and i.user_id > ?1 and i.user_id <= ?2
			group by i.user_id, i.total, i.unseen, i.unread) c
		where total <> rows_total or unseen <> rows_unseen or unread <> rows_unread order by user_id`, env, after, last.Int64)
	err = scanEach(rows, err, []any{&d.User, &d.Have.Total, &d.Have.Unseen, &d.Have.Unread, &d.Want.Total, &d.Want.Unseen, &d.Want.Unread}, func() error {
		if out.Drifted++; len(out.Drifts) < list {
			out.Drifts = append(out.Drifts, d)
		}
		return nil
	})
	return model.UserID(last.Int64), err
}
