package store

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/uptrace/bun"

	"carillon/model"
)

// PatchProfile changes a profile by what patch makes of its attributes, which
// it gets and gives in canonical form. An error of patch changes nothing, and
// a profile that stays as it is keeps its version.
//
// With an expected version that is not the current one it is a
// KindVersionConflict error, and the outcome holds the current user.
func (s *Store) PatchProfile(ctx context.Context, env model.EnvID, o model.Once, identifier string, expected *int64, patch func(now json.RawMessage) (json.RawMessage, error)) (model.Outcome[model.User], error) {
	var current model.User
	out, err := once(ctx, s, env, o, "changing profile", func(ctx context.Context, tx bun.Tx) (model.User, error) {
		var err error
		if current, err = s.user(ctx, tx, env, identifier, s.dialect.forChange); err != nil {
			return current, err
		}
		if expected != nil && *expected != current.Profile.Version {
			return current, versionConflict(*expected, current.Profile.Version)
		}
		return s.patchProfile(ctx, tx, current, patch)
	})
	if model.KindOf(err) == model.KindVersionConflict {
		out.Value = current
	}
	return out, err
}

// patchProfile works on a user whose row is locked.
func (s *Store) patchProfile(ctx context.Context, tx bun.Tx, u model.User, patch func(json.RawMessage) (json.RawMessage, error)) (model.User, error) {
	attributes, err := patch(u.Profile.Attributes)
	if err != nil || bytes.Equal(attributes, u.Profile.Attributes) {
		return u, err
	}
	u.Profile = model.Profile{Version: u.Profile.Version + 1, Attributes: attributes}
	u.UpdatedAt = s.now()
	if _, err := tx.NewRaw("update users set updated_at = ? where env_id = ? and id = ?", micros(u.UpdatedAt), u.EnvID, u.ID).Exec(ctx); err != nil {
		return u, err
	}
	if err := saveProfiles(ctx, tx, []*model.User{&u}); err != nil {
		return u, err
	}
	return u, s.tellUser(ctx, tx, model.EventUserUpdated, &u)
}

func versionConflict(expected, current int64) error {
	return &model.Error{
		Kind: model.KindVersionConflict, Message: "version conflict",
		Problems: []model.Problem{{
			Code: model.ProblemConflict, Path: []string{"expectedVersion"},
			Message: fmt.Sprintf("is %d, but the profile has version %d", expected, current),
		}},
	}
}

// saveProfiles writes the profiles of users whose rows are locked.
func saveProfiles(ctx context.Context, tx bun.Tx, users []*model.User) error {
	var rows values
	for _, u := range users {
		rows.row(u.EnvID, u.ID, u.Profile.Version, string(u.Profile.Attributes),
			nullText(u.Profile.Attribute(model.AttrEmail)), nullText(u.Profile.Attribute(model.AttrPhoneNumber)))
	}
	if rows.empty() {
		return nil
	}
	_, err := tx.NewRaw("insert into profiles (env_id, user_id, version, attributes, email, phone_number) values "+rows.String()+`
		on conflict (env_id, user_id) do update set version = excluded.version, attributes = excluded.attributes,
			email = excluded.email, phone_number = excluded.phone_number`, rows.args...).Exec(ctx)
	return err
}
