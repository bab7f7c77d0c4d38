package storetest

import (
	"context"
	"crypto/rand"

	"carillon/model"
	"carillon/store"
)

// Erase deletes a user, and goes on until every trace is gone.
func Erase(ctx context.Context, s *store.Store, env model.EnvID, o model.Once, identifier string) error {
	id := model.ErasureID(rand.Text())
	if _, err := s.DeleteUser(ctx, env, o, id, identifier); err != nil {
		return err
	}
	for {
		if e, err := s.AdvanceErasure(ctx, env, id); err != nil || e.Status == model.ErasureDone {
			return err
		}
	}
}
