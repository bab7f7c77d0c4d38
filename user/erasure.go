package user

import (
	"context"
	"time"

	"carillon/model"
)

// Of the parts of an erasure, so many are done before whoever asked for it gets
// an answer: all of them for most users.
const erasedAtOnce = 12

// erasurePause is how long the worker waits before it looks for erasures that
// nobody has told it of, or that have failed.
const erasurePause = 5 * time.Second

// Delete deletes a user, and ends their streams once it is done. All that there
// is of theirs goes as with Erase. A user of the same identifier may be created
// again: it is another one.
func (s *Service) Delete(ctx context.Context, env model.EnvID, once model.Once, identifier string) (model.Outcome[model.UserID], error) {
	if model.CheckIdentifier(identifier) != "" {
		return model.Outcome[model.UserID]{}, errUnknown
	}
	id := model.ErasureID(s.ids.New())
	out, err := s.Store.DeleteUser(ctx, env, once, id, identifier)
	if err == nil && !out.Replayed {
		s.gone(ctx, model.Erasure{ID: id, EnvID: env, UserID: out.Value})
	}
	return out, err
}

// Erase deletes a user with every trace: what is known of them, what they did,
// what they were sent and how it went, and the stored answers that say something
// of it. It returns the receipt. For a user with much to delete it is RUNNING
// yet, and a worker goes on; the user is gone for everyone at once.
func (s *Service) Erase(ctx context.Context, env model.EnvID, once model.Once, identifier string) (model.Outcome[model.Erasure], error) {
	if model.CheckIdentifier(identifier) != "" {
		return model.Outcome[model.Erasure]{}, errUnknown
	}
	out, err := s.Store.EraseUser(ctx, env, once, model.ErasureID(s.ids.New()), identifier)
	if err != nil {
		return out, err
	}
	if !out.Replayed {
		out.Value = s.gone(ctx, out.Value)
		return out, nil
	}
	out.Value, err = s.Store.Erasure(ctx, env, out.Value.ID)
	return out, err
}

// gone goes on with the erasure of a user who was deleted for a moment, and then
// ends the user's streams, just before the caller ends the credentials. What
// fails the worker tries again: the user is gone by now.
func (s *Service) gone(ctx context.Context, begun model.Erasure) model.Erasure {
	ctx = context.WithoutCancel(ctx)
	defer s.Live.Publish(ctx, model.Hint{Key: model.InboxKey(begun.EnvID, begun.UserID), Gone: true})
	e, err := s.advance(ctx, begun.EnvID, begun.ID, erasedAtOnce)
	if err != nil {
		s.log().WarnContext(ctx, "erasing a user; a worker goes on", "environment", int64(begun.EnvID), "erasure", begun.ID, "error", err)
		return begun
	}
	return e
}

// advance does parts of an erasure until it is done; most of them, unless zero.
func (s *Service) advance(ctx context.Context, env model.EnvID, id model.ErasureID, most int) (e model.Erasure, err error) {
	for n := 1; ; n++ {
		if e, err = s.Store.AdvanceErasure(ctx, env, id); err != nil || e.Status == model.ErasureDone || n == most {
			return e, err
		}
	}
}

// Erasure reads a receipt.
func (s *Service) Erasure(ctx context.Context, env model.EnvID, id model.ErasureID) (model.Erasure, error) {
	if model.CheckIdentifier(string(id)) != "" {
		return model.Erasure{}, model.NotFound("names no erasure", "id")
	}
	return s.Store.Erasure(ctx, env, id)
}

// RunErasures goes on with the erasures that are not done, until ctx is.
// Several processes may do so at once.
func (s *Service) RunErasures(ctx context.Context) {
	tick := time.NewTicker(erasurePause)
	defer tick.Stop()
	for {
		if err := s.finishErasures(ctx); err != nil && ctx.Err() == nil {
			s.log().WarnContext(ctx, "erasing users", "error", err, "again_in", erasurePause)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (s *Service) finishErasures(ctx context.Context) error {
	const most = 100
	running, err := s.Store.RunningErasures(ctx, most)
	for _, e := range running {
		if _, err := s.advance(ctx, e.EnvID, e.ID, 0); err != nil {
			return err
		}
	}
	return err
}
