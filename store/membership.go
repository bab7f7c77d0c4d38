package store

import (
	"context"
	"database/sql"
	"encoding/json"

	"github.com/uptrace/bun"

	"carillon/model"
)

type membershipRow struct {
	AccountID model.UserID
	UserID    model.UserID
	Role      string
	CreatedAt int64
}

func (r membershipRow) model() model.Membership {
	return model.Membership{Account: r.AccountID, User: r.UserID, Role: r.Role, CreatedAt: at(r.CreatedAt)}
}

// Memberships lists the accounts that users are members of, oldest membership
// first.
func (s *Store) Memberships(ctx context.Context, env model.EnvID, users []model.UserID) (map[model.UserID][]model.Membership, error) {
	out := map[model.UserID][]model.Membership{}
	if len(users) == 0 {
		return out, nil
	}
	var rows []membershipRow
	err := s.r.NewRaw("select account_id, user_id, role, created_at from memberships where env_id = ? and user_id in (?) order by user_id, created_at, account_id", env, bun.List(users)).Scan(ctx, &rows)
	for _, r := range rows {
		out[r.UserID] = append(out[r.UserID], r.model())
	}
	return out, s.fail("reading memberships", err)
}

// MemberCounts counts the members of accounts; one without any is absent.
func (s *Store) MemberCounts(ctx context.Context, env model.EnvID, accounts []model.UserID) (map[model.UserID]int64, error) {
	out := map[model.UserID]int64{}
	if len(accounts) == 0 {
		return out, nil
	}
	var (
		id model.UserID
		n  int64
	)
	rows, err := s.r.QueryContext(ctx, "select account_id, count(*) from memberships where env_id = ? and account_id in (?) group by account_id", env, bun.List(accounts))
	err = scanEach(rows, err, []any{&id, &n}, func() error {
		out[id] = n
		return nil
	})
	return out, s.fail("counting members", err)
}

// Members lists the members of an account, newest user first.
func (s *Store) Members(ctx context.Context, env model.EnvID, account model.UserID, page model.PageRequest) (model.Page[model.Membership], error) {
	query, more := byID("select account_id, user_id, role, created_at from memberships where env_id = ? and account_id = ?", "user_id", page)
	var rows []membershipRow
	if err := s.r.NewRaw(query, append([]any{env, account}, more...)...).Scan(ctx, &rows); err != nil {
		return model.Page[model.Membership]{}, s.fail("reading members", err)
	}
	return cut(rows, page, membershipRow.model), nil
}

// JoinAccounts makes a user a member of accounts, or changes the role there; no
// role keeps the one that is. The accounts must exist, whatever their kind.
func (s *Store) JoinAccounts(ctx context.Context, env model.EnvID, o model.Once, user string, changes []model.MembershipChange) (model.Outcome[model.User], error) {
	return once(ctx, s, env, o, "joining accounts", func(ctx context.Context, tx bun.Tx) (model.User, error) {
		u, err := s.user(ctx, tx, env, user, s.dialect.forChange)
		if err != nil {
			return u, err
		}
		return u, s.joinAll(ctx, tx, u, changes)
	})
}

// joinAll works on a user whose row is locked.
func (s *Store) joinAll(ctx context.Context, tx bun.Tx, u model.User, changes []model.MembershipChange) error {
	names := make([]string, len(changes))
	for i, ch := range changes {
		names[i] = ch.Account
	}
	ids, missing, err := userIDs(ctx, tx, u.EnvID, names, s.dialect.forKeep)
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		return model.NotFound("names no user", "account")
	}
	for _, ch := range changes {
		if ids[ch.Account] == u.ID {
			return &model.Error{Kind: model.KindInvalid, Message: "invalid input", Problems: []model.Problem{{
				Code: model.ProblemInvalid, Path: []string{"account"}, Message: "must be another user: nobody is a member of themselves",
			}}}
		}
		if err := s.join(ctx, tx, u, ids[ch.Account], ch.Role); err != nil {
			return err
		}
	}
	var n int
	if err := tx.NewRaw("select count(*) from memberships where env_id = ? and user_id = ?", u.EnvID, u.ID).Scan(ctx, &n); err != nil {
		return err
	}
	if n > model.MaxMemberships {
		return model.Errorf(model.KindLimit, "a user is a member of at most %d accounts", model.MaxMemberships)
	}
	return nil
}

func (s *Store) join(ctx context.Context, tx bun.Tx, u model.User, account model.UserID, role *string) error {
	is := sql.NullString{}
	if role != nil {
		is = sql.NullString{String: *role, Valid: true}
	}
	_, err := tx.NewRaw(`insert into memberships (env_id, user_id, account_id, role, created_at) values (?0, ?1, ?2, coalesce(?3, ''), ?4)
		on conflict (env_id, user_id, account_id) do update set role = coalesce(?3, memberships.role)`, u.EnvID, u.ID, account, is, micros(s.now())).Exec(ctx)
	return err
}

// LeaveAccount ends a membership. One that is not there is a KindNotFound
// error at "account".
func (s *Store) LeaveAccount(ctx context.Context, env model.EnvID, o model.Once, user, account string) (model.Outcome[model.User], error) {
	return once(ctx, s, env, o, "leaving account", func(ctx context.Context, tx bun.Tx) (model.User, error) {
		u, err := s.user(ctx, tx, env, user, s.dialect.forChange)
		if err != nil {
			return u, err
		}
		ids, _, err := userIDs(ctx, tx, env, []string{account}, "")
		if err != nil {
			return u, err
		}
		res, err := tx.NewRaw("delete from memberships where env_id = ? and user_id = ? and account_id = ?", env, u.ID, ids[account]).Exec(ctx)
		if err != nil {
			return u, err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return u, model.NotFound("names no account of this user", "account")
		}
		return u, nil
	})
}

// SetRole changes the role of a user in an account they are a member of.
func (s *Store) SetRole(ctx context.Context, env model.EnvID, o model.Once, user, account, role string) (model.Outcome[model.User], error) {
	return once(ctx, s, env, o, "changing role", func(ctx context.Context, tx bun.Tx) (model.User, error) {
		u, err := s.user(ctx, tx, env, user, s.dialect.forChange)
		if err != nil {
			return u, err
		}
		ids, _, err := userIDs(ctx, tx, env, []string{account}, "")
		if err != nil {
			return u, err
		}
		res, err := tx.NewRaw("update memberships set role = ? where env_id = ? and user_id = ? and account_id = ?", role, env, u.ID, ids[account]).Exec(ctx)
		if err != nil {
			return u, err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return u, model.NotFound("names no account of this user", "account")
		}
		return u, nil
	})
}

// TopicsOfUsers lists the topics that users are on, in the order of joining.
func (s *Store) TopicsOfUsers(ctx context.Context, env model.EnvID, users []model.UserID) (map[model.UserID][]model.TopicSubscription, error) {
	out := map[model.UserID][]model.TopicSubscription{}
	if len(users) == 0 {
		return out, nil
	}
	var rows []struct {
		UserID     model.UserID
		TopicID    model.TopicID
		Identifier string
		Channels   sql.NullString
		Subscribed bool
		CreatedAt  int64
	}
	err := s.r.NewRaw(`select m.user_id, m.topic_id, t.identifier, m.channels, m.subscribed, m.created_at
		from topic_members m join topics t on t.env_id = m.env_id and t.id = m.topic_id
		where m.env_id = ? and m.user_id in (?) order by m.user_id, m.created_at, m.topic_id`, env, bun.List(users)).Scan(ctx, &rows)
	for _, r := range rows {
		var only []string
		if r.Channels.Valid {
			if bad := json.Unmarshal([]byte(r.Channels.String), &only); bad != nil {
				return nil, s.fail("decoding channels", bad)
			}
		}
		out[r.UserID] = append(out[r.UserID], model.TopicSubscription{
			Topic: model.Topic{ID: r.TopicID, EnvID: env, Identifier: r.Identifier}, UserID: r.UserID, Channels: only, Subscribed: r.Subscribed, CreatedAt: at(r.CreatedAt),
		})
	}
	return out, s.fail("reading subscriptions", err)
}

// SubscriberCounts counts the users on topics, subscribed or not; a topic
// without any is absent.
func (s *Store) SubscriberCounts(ctx context.Context, env model.EnvID, topics []model.TopicID) (map[model.TopicID]int64, error) {
	out := map[model.TopicID]int64{}
	if len(topics) == 0 {
		return out, nil
	}
	var (
		id model.TopicID
		n  int64
	)
	rows, err := s.r.QueryContext(ctx, "select topic_id, count(*) from topic_members where env_id = ? and topic_id in (?) group by topic_id", env, bun.List(topics))
	err = scanEach(rows, err, []any{&id, &n}, func() error {
		out[id] = n
		return nil
	})
	return out, s.fail("counting subscribers", err)
}
