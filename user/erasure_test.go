package user_test

import (
	"context"
	"errors"
	"testing"

	"carillon/model"
	"carillon/store"
	"carillon/store/storetest"
)

// stuck is a store in which erasures do not get on.
type stuck struct{ *store.Store }

func (stuck) AdvanceErasure(context.Context, model.EnvID, model.ErasureID) (model.Erasure, error) {
	return model.Erasure{}, errors.New("somebody holds a row")
}

func TestErasuresThatDoNotGetOnHaveAReceipt(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ada := storetest.User(t, f.store, f.env.ID, "ada")
		f.Store = stuck{f.store}
		out, err := f.Erase(t.Context(), f.env.ID, model.Once{}, "ada")
		if err != nil {
			t.Fatal(err)
		}
		e := out.Value
		if e.Status != model.ErasureRunning || e.UserID != ada || e.CreatedAt.IsZero() || e.Salt == "" || e.Hash != model.ErasureHash(e.Salt, "ada") {
			t.Errorf("got %+v, want the receipt of an erasure that runs", e)
		}
	})
}
