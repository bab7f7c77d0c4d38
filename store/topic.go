package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/uptrace/bun"

	"carillon/model"
)

type topicRow struct {
	EnvID       model.EnvID
	ID          model.TopicID
	Identifier  string
	Name        string
	Description string
	DoubleOptIn bool
	RedirectURL string `bun:"redirect_url"`
	ArchivedAt  sql.NullInt64
	CreatedAt   int64
	UpdatedAt   int64
}

func (r topicRow) model() model.Topic {
	return model.Topic{
		ID: r.ID, EnvID: r.EnvID, Identifier: r.Identifier, Name: r.Name,
		TopicDetails: model.TopicDetails{Description: r.Description, DoubleOptIn: r.DoubleOptIn, RedirectURL: r.RedirectURL, Archived: r.ArchivedAt.Valid},
		CreatedAt:    at(r.CreatedAt), UpdatedAt: at(r.UpdatedAt),
	}
}

const (
	topicColumns = "t.env_id, t.id, t.identifier, t.name, t.description, t.double_opt_in, t.redirect_url, t.archived_at, t.created_at, t.updated_at"
	selectTopics = "select " + topicColumns + " from topics t where t.env_id = ?"
)

// CreateTopic makes a topic. An identifier that is taken is a KindConflict
// error.
func (s *Store) CreateTopic(ctx context.Context, env model.EnvID, o model.Once, identifier, name string, details model.TopicDetails) (model.Outcome[model.Topic], error) {
	id, err := s.newID(ctx)
	if err != nil {
		return model.Outcome[model.Topic]{}, err
	}
	now := s.now()
	t := model.Topic{ID: model.TopicID(id), EnvID: env, Identifier: identifier, Name: name, TopicDetails: details, CreatedAt: now, UpdatedAt: now}
	return once(ctx, s, env, o, "creating topic", func(ctx context.Context, tx bun.Tx) (model.Topic, error) {
		_, err := tx.NewRaw("insert into topics (env_id, id, identifier, name, description, double_opt_in, redirect_url, archived_at, created_at, updated_at) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
			env, t.ID, t.Identifier, t.Name, t.Description, t.DoubleOptIn, t.RedirectURL, sql.NullInt64{Int64: micros(now), Valid: t.Archived}, micros(now), micros(now)).Exec(ctx)
		if s.dialect.isUnique(err) {
			return t, model.Conflict("is taken by another topic", "identifier")
		}
		return t, err
	})
}

// UpdateTopic changes a topic.
func (s *Store) UpdateTopic(ctx context.Context, env model.EnvID, o model.Once, identifier string, change model.TopicChanges) (model.Outcome[model.Topic], error) {
	return once(ctx, s, env, o, "changing topic", func(ctx context.Context, tx bun.Tx) (model.Topic, error) {
		t, err := s.lockTopic(ctx, tx, env, identifier)
		if err != nil {
			return t, err
		}
		was := t
		set(&t.Name, change.Name)
		set(&t.Description, change.Description)
		set(&t.DoubleOptIn, change.DoubleOptIn)
		set(&t.RedirectURL, change.RedirectURL)
		set(&t.Archived, change.Archived)
		if t == was {
			return t, nil
		}
		t.UpdatedAt = s.now()
		archivedAt := sql.NullInt64{Int64: micros(t.UpdatedAt), Valid: t.Archived}
		_, err = tx.NewRaw(`update topics set name = ?, description = ?, double_opt_in = ?, redirect_url = ?, archived_at = ?, updated_at = ? where env_id = ? and id = ?`,
			t.Name, t.Description, t.DoubleOptIn, t.RedirectURL, archivedAt, micros(t.UpdatedAt), env, t.ID).Exec(ctx)
		return t, err
	})
}

// set puts what p points to, if anything, into what to points to.
func set[T any](to, p *T) {
	if p != nil {
		*to = *p
	}
}

// DeleteTopic deletes a topic and everyone's place on it.
func (s *Store) DeleteTopic(ctx context.Context, env model.EnvID, o model.Once, identifier string) (model.Outcome[model.TopicID], error) {
	return once(ctx, s, env, o, "deleting topic", func(ctx context.Context, tx bun.Tx) (model.TopicID, error) {
		t, err := s.lockTopic(ctx, tx, env, identifier)
		if err != nil {
			return 0, err
		}
		_, err = tx.NewRaw("delete from topics where env_id = ? and id = ?", env, t.ID).Exec(ctx)
		return t.ID, err
	})
}

// SubscribeToTopic puts users on a topic, or changes the channels of those who
// are on it. Of an archived topic it only notes who no longer wants it.
// Identifiers that name no user are listed in the result.
func (s *Store) SubscribeToTopic(ctx context.Context, env model.EnvID, o model.Once, identifier string, members []model.TopicMember) (model.Outcome[model.TopicChange], error) {
	return once(ctx, s, env, o, "subscribing to topic", func(ctx context.Context, tx bun.Tx) (model.TopicChange, error) {
		t, err := s.lockTopic(ctx, tx, env, identifier)
		if err != nil {
			return model.TopicChange{}, err
		}
		names := make([]string, len(members))
		for i, m := range members {
			names[i] = m.Identifier
		}
		ids, missing, err := userIDs(ctx, tx, env, names, s.dialect.forKeep)
		if err != nil {
			return model.TopicChange{}, err
		}
		places := make(map[model.UserID]model.TopicMember, len(ids))
		for _, m := range members {
			if user, known := ids[m.Identifier]; known {
				places[user] = m
			}
		}
		change := s.putOnTopic
		if t.Archived {
			change = leaveArchived
		}
		n, err := change(ctx, tx, t, places)
		return model.TopicChange{Topic: t, Changed: n, NotFound: missing}, err
	})
}

// putOnTopic puts users on a topic and returns how many rows that made or
// changed.
func (s *Store) putOnTopic(ctx context.Context, tx bun.IDB, t model.Topic, places map[model.UserID]model.TopicMember) (int, error) {
	if len(places) == 0 {
		return 0, nil
	}
	var rows values
	for _, user := range slices.Sorted(maps.Keys(places)) {
		list, err := nullJSON(places[user].Channels)
		if err != nil {
			return 0, fmt.Errorf("encoding channels: %w", err)
		}
		rows.row(t.EnvID, t.ID, user, list, !places[user].Unsubscribed, micros(s.now()))
	}
	res, err := tx.NewRaw("insert into topic_members (env_id, topic_id, user_id, channels, subscribed, created_at) values "+rows.String()+`
		on conflict (env_id, topic_id, user_id) do update set channels = excluded.channels, subscribed = excluded.subscribed
		where topic_members.channels is distinct from excluded.channels or topic_members.subscribed <> excluded.subscribed`, rows.args...).Exec(ctx)
	if err != nil {
		return 0, err
	}
	n, err := res.RowsAffected()
	return int(n), err
}

// leaveArchived notes that users no longer want a topic that is archived, which
// nobody is put on any more, and returns how many of them were on it.
func leaveArchived(ctx context.Context, tx bun.IDB, t model.Topic, places map[model.UserID]model.TopicMember) (int, error) {
	for _, place := range places {
		if !place.Unsubscribed {
			return 0, model.Conflict("names a topic that is archived: nobody is put on it any more", "topic")
		}
	}
	if len(places) == 0 {
		return 0, nil
	}
	res, err := tx.NewRaw("update topic_members set subscribed = ? where env_id = ? and topic_id = ? and user_id in (?) and subscribed",
		false, t.EnvID, t.ID, bun.List(slices.Collect(maps.Keys(places)))).Exec(ctx)
	if err != nil {
		return 0, err
	}
	n, err := res.RowsAffected()
	return int(n), err
}

// UnsubscribeFromTopic takes users off a topic. Identifiers that name no user
// are listed in the result; users who were not on it are not an error.
func (s *Store) UnsubscribeFromTopic(ctx context.Context, env model.EnvID, o model.Once, identifier string, users []string) (model.Outcome[model.TopicChange], error) {
	return once(ctx, s, env, o, "unsubscribing from topic", func(ctx context.Context, tx bun.Tx) (model.TopicChange, error) {
		t, err := s.lockTopic(ctx, tx, env, identifier)
		if err != nil {
			return model.TopicChange{}, err
		}
		ids, missing, err := userIDs(ctx, tx, env, users, "")
		if err != nil || len(ids) == 0 {
			return model.TopicChange{Topic: t, NotFound: missing}, err
		}
		list := make([]model.UserID, 0, len(ids))
		for _, id := range ids {
			list = append(list, id)
		}
		res, err := tx.NewRaw("delete from topic_members where env_id = ? and topic_id = ? and user_id in (?)", env, t.ID, bun.List(list)).Exec(ctx)
		if err != nil {
			return model.TopicChange{}, err
		}
		n, err := res.RowsAffected()
		return model.TopicChange{Topic: t, Changed: int(n), NotFound: missing}, err
	})
}

// userIDs finds users by identifier; missing are the ones not found, in the
// order given and without repetition. lock is what locks the rows, or "".
func userIDs(ctx context.Context, db bun.IDB, env model.EnvID, identifiers []string, lock string) (ids map[string]model.UserID, missing []string, err error) {
	ids = map[string]model.UserID{}
	if len(identifiers) == 0 {
		return ids, nil, nil
	}
	var rows []struct {
		ID         model.UserID
		Identifier string
	}
	if err := db.NewRaw("select id, identifier from users where env_id = ? and identifier in (?) order by identifier"+lock, env, bun.List(identifiers)).Scan(ctx, &rows); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, nil, err
	}
	for _, r := range rows {
		ids[r.Identifier] = r.ID
	}
	var unknown []string
	for _, name := range identifiers {
		if _, ok := ids[name]; !ok {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) == 0 {
		return ids, nil, nil
	}
	before, err := aliased(ctx, db, env, unknown)
	if err != nil {
		return nil, nil, err
	}
	if lock != "" {
		if err := lockUsers(ctx, db, env, before, lock); err != nil {
			return nil, nil, err
		}
	}
	maps.Copy(ids, before)
	for _, name := range unknown {
		if _, ok := ids[name]; !ok && !slices.Contains(missing, name) {
			missing = append(missing, name)
		}
	}
	return ids, missing, nil
}

// lockUsers locks users by id, and leaves out those who are gone by now.
func lockUsers(ctx context.Context, db bun.IDB, env model.EnvID, users map[string]model.UserID, lock string) error {
	if len(users) == 0 {
		return nil
	}
	var there []model.UserID
	if err := db.NewRaw("select id from users where env_id = ? and id in (?) order by identifier"+lock, env, bun.List(slices.Collect(maps.Values(users)))).Scan(ctx, &there); err != nil {
		return err
	}
	maps.DeleteFunc(users, func(_ string, id model.UserID) bool { return !slices.Contains(there, id) })
	return nil
}

// lockTopic reads a topic within a transaction that changes it or its members.
func (s *Store) lockTopic(ctx context.Context, tx bun.IDB, env model.EnvID, identifier string) (model.Topic, error) {
	var r topicRow
	err := tx.NewRaw(selectTopics+" and t.identifier = ?"+s.dialect.forUpdate, env, identifier).Scan(ctx, &r)
	if errors.Is(err, sql.ErrNoRows) {
		return model.Topic{}, model.NotFound("names no topic", "topic")
	}
	return r.model(), err
}

// Topic reads a topic by identifier.
func (s *Store) Topic(ctx context.Context, env model.EnvID, identifier string) (model.Topic, error) {
	return s.topic(ctx, " and t.identifier = ?", env, identifier)
}

// TopicByID reads a topic by id.
func (s *Store) TopicByID(ctx context.Context, env model.EnvID, id model.TopicID) (model.Topic, error) {
	return s.topic(ctx, " and t.id = ?", env, id)
}

func (s *Store) topic(ctx context.Context, where string, args ...any) (model.Topic, error) {
	var r topicRow
	err := s.r.NewRaw(selectTopics+where, args...).Scan(ctx, &r)
	if errors.Is(err, sql.ErrNoRows) {
		return model.Topic{}, model.NotFound("names no topic", "topic")
	}
	return r.model(), s.fail("reading topic", err)
}

// Topics lists the topics of an environment by id, newest first.
func (s *Store) Topics(ctx context.Context, env model.EnvID, page model.PageRequest) (model.Page[model.Topic], error) {
	return s.listTopics(ctx, selectTopics, env, page)
}

// OpenTopics is Topics without those that were archived.
func (s *Store) OpenTopics(ctx context.Context, env model.EnvID, page model.PageRequest) (model.Page[model.Topic], error) {
	return s.listTopics(ctx, selectTopics+" and t.archived_at is null", env, page)
}

func (s *Store) listTopics(ctx context.Context, from string, env model.EnvID, page model.PageRequest) (model.Page[model.Topic], error) {
	var rows []topicRow
	query, args := byID(from, "t.id", page)
	if err := s.r.NewRaw(query, append([]any{env}, args...)...).Scan(ctx, &rows); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return model.Page[model.Topic]{}, s.fail("reading topics", err)
	}
	return cut(rows, page, topicRow.model), nil
}

// Subscriptions lists the topics that a user is on, newest topic first.
func (s *Store) Subscriptions(ctx context.Context, env model.EnvID, user model.UserID, page model.PageRequest) (model.Page[model.TopicSubscription], error) {
	return s.subscriptions(ctx, "m.user_id = ?", "t.id", page, env, user)
}

// Subscribers lists the users on a topic, newest user first.
func (s *Store) Subscribers(ctx context.Context, env model.EnvID, topic model.TopicID, page model.PageRequest) (model.Page[model.TopicSubscription], error) {
	return s.subscriptions(ctx, "m.topic_id = ?", "u.id", page, env, topic)
}

type subscriptionRow struct {
	topicRow
	UserID         model.UserID
	UserIdentifier string
	Channels       sql.NullString
	Subscribed     bool
	SubscribedAt   int64
}

func (s *Store) subscriptions(ctx context.Context, where, order string, page model.PageRequest, args ...any) (model.Page[model.TopicSubscription], error) {
	query, more := byID(`select `+topicColumns+`,
			m.user_id, u.identifier as user_identifier, m.channels, m.subscribed, m.created_at as subscribed_at
		from topic_members m
		join topics t on t.env_id = m.env_id and t.id = m.topic_id
		join users u on u.env_id = m.env_id and u.id = m.user_id
		where m.env_id = ? and `+where, order, page)
	var rows []subscriptionRow
	if err := s.r.NewRaw(query, append(args, more...)...).Scan(ctx, &rows); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return model.Page[model.TopicSubscription]{}, s.fail("reading subscriptions", err)
	}
	var bad error
	out := cut(rows, page, func(r subscriptionRow) model.TopicSubscription {
		sub := model.TopicSubscription{Topic: r.topicRow.model(), UserID: r.UserID, Identifier: r.UserIdentifier, Subscribed: r.Subscribed, CreatedAt: at(r.SubscribedAt)}
		if r.Channels.Valid {
			bad = cmp.Or(bad, json.Unmarshal([]byte(r.Channels.String), &sub.Channels))
		}
		return sub
	})
	return out, s.fail("decoding channels", bad)
}

// byID completes a query with the keyset of a page of a list that runs from
// the highest id to the lowest, and one row more than the page.
func byID(query, column string, page model.PageRequest) (string, []any) {
	var args []any
	if page.After != nil {
		query, args = query+" and "+column+" < ?", append(args, page.After.ID)
	}
	if page.Before != nil {
		query, args = query+" and "+column+" > ?", append(args, page.Before.ID)
	}
	direction := " desc"
	if page.Backward {
		direction = " asc"
	}
	return query + " order by " + column + direction + " limit ?", append(args, page.Limit+1)
}

// cut makes a page of rows that were read with one more than its limit.
func cut[R, T any](rows []R, page model.PageRequest, convert func(R) T) model.Page[T] {
	out := model.Page[T]{HasMore: len(rows) > page.Limit}
	rows = rows[:min(len(rows), page.Limit)]
	if page.Backward {
		slices.Reverse(rows)
	}
	out.Items = make([]T, len(rows))
	for i, r := range rows {
		out.Items[i] = convert(r)
	}
	return out
}
