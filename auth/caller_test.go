package auth_test

import (
	"errors"
	"testing"

	"carillon/auth"
	"carillon/model"
)

func TestRequire(t *testing.T) {
	t.Parallel()
	secret := auth.Caller{Kind: auth.Secret, Credential: "c"}
	known := auth.Caller{Kind: auth.User, User: "ada", UserID: 7}
	unknown := auth.Caller{Kind: auth.User, User: "ada"}
	for name, tt := range map[string]struct {
		caller                     *auth.Caller
		any, secret, user, isKnown model.Kind
	}{
		"Nobody":      {nil, model.KindUnauthenticated, model.KindUnauthenticated, model.KindUnauthenticated, model.KindUnauthenticated},
		"SecretKey":   {&secret, "", "", model.KindForbidden, model.KindForbidden},
		"KnownUser":   {&known, "", model.KindForbidden, "", ""},
		"UnknownUser": {&unknown, "", model.KindForbidden, "", model.KindNotFound},
	} {
		ctx := t.Context()
		if tt.caller != nil {
			ctx = auth.WithCaller(ctx, *tt.caller)
		}
		_, err := auth.Require(ctx)
		_, errSecret := auth.RequireSecret(ctx)
		_, errUser := auth.RequireUser(ctx)
		c, errKnown := auth.RequireKnownUser(ctx)
		for i, got := range []error{err, errSecret, errUser, errKnown} {
			want := []model.Kind{tt.any, tt.secret, tt.user, tt.isKnown}[i]
			if model.KindOf(got) != want {
				t.Errorf("%s: check %d gave %v, want kind %q", name, i, got, want)
			}
			if tt.caller == nil && !errors.Is(got, auth.ErrNone) {
				t.Errorf("%s: check %d gave %v, want ErrNone", name, i, got)
			}
		}
		if errKnown == nil && c.UserID != 7 {
			t.Errorf("%s: user %d, want 7", name, c.UserID)
		}
	}
}
