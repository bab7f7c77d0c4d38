package store

import (
	"context"

	"github.com/uptrace/bun"

	"carillon/model"
)

// DeleteCategoryByID is DeleteCategory for callers who know it by its id.
func (s *Store) DeleteCategoryByID(ctx context.Context, env model.EnvID, o model.Once, id model.CategoryID) (model.Outcome[model.CategoryID], error) {
	return once(ctx, s, env, o, "deleting category", func(ctx context.Context, tx bun.Tx) (model.CategoryID, error) {
		l, err := s.categories(ctx, tx, " and id = ?"+s.dialect.forUpdate, env, id)
		if err != nil {
			return 0, err
		}
		if len(l) == 0 {
			return 0, model.NotFound("names no category", "id")
		}
		if _, err := tx.NewRaw("delete from preferences where env_id = ? and category_id = ?", env, id).Exec(ctx); err != nil {
			return 0, err
		}
		_, err = tx.NewRaw("delete from categories where env_id = ? and id = ?", env, id).Exec(ctx)
		return id, err
	})
}

// DeleteTopicByID is DeleteTopic for callers who know it by its id.
func (s *Store) DeleteTopicByID(ctx context.Context, env model.EnvID, o model.Once, id model.TopicID) (model.Outcome[model.TopicID], error) {
	return once(ctx, s, env, o, "deleting topic", func(ctx context.Context, tx bun.Tx) (model.TopicID, error) {
		res, err := tx.NewRaw("delete from topics where env_id = ? and id = ?", env, id).Exec(ctx)
		if err != nil {
			return 0, err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return 0, model.NotFound("names no topic", "topic")
		}
		return id, nil
	})
}

// NotificationOwner says whose inbox a notification is or was in: one that was
// deleted is still somebody's. An id that names none is a KindNotFound error.
func (s *Store) NotificationOwner(ctx context.Context, env model.EnvID, id model.NotificationID) (model.UserID, error) {
	var owners []model.UserID
	if err := s.r.NewRaw("select user_id from notifications where env_id = ? and id = ?", env, id).Scan(ctx, &owners); err != nil {
		return 0, s.fail("reading notification", err)
	}
	if len(owners) == 0 {
		return 0, model.NotFound("names no notification", "id")
	}
	return owners[0], nil
}
