package graph

import (
	"context"
	"fmt"

	"carillon/auth"
	"carillon/model"
)

// caller says who calls. A user whom the environment did not know when the
// credential was read may be known by now, since a socket is authenticated
// once: that is looked up.
func (r *Resolver) caller(ctx context.Context) (auth.Caller, error) {
	c, err := auth.Require(ctx)
	if err != nil || c.Kind != auth.User || c.UserID != 0 {
		return c, err
	}
	found, err := r.Users.Find(ctx, c.Env.ID, c.User)
	c.UserID = found.ID
	return c, absent(err)
}

// subject says who calls, and which user the call is about: for a user's
// credential its own, for a secret key the one named. It does not look whether
// the named user exists.
func (r *Resolver) subject(ctx context.Context, user *string) (auth.Caller, string, error) {
	c, err := r.caller(ctx)
	switch {
	case err != nil:
		return c, "", err
	case c.Kind != auth.User:
		if user == nil {
			return c, "", required("is required with a secret key: whose it is, by identifier", "user")
		}
		return c, *user, nil
	case user != nil && *user != c.User:
		return c, "", unknownUser("user")
	case c.UserID == 0:
		return c, "", unidentified(c, "user")
	}
	return c, c.User, nil
}

// target is subject for a call that needs the user's id.
func (r *Resolver) target(ctx context.Context, user *string) (auth.Caller, model.UserID, error) {
	c, identifier, err := r.subject(ctx, user)
	if err != nil {
		return c, 0, err
	}
	if c.Kind == auth.User {
		return c, c.UserID, nil
	}
	found, err := r.Users.Find(ctx, c.Env.ID, identifier)
	return c, found.ID, elsewhere(err, unknownUser("user"))
}

// maySee says whether the caller may see the user: a secret key sees every one
// of its environment, a user itself.
func maySee(caller auth.Caller, user model.UserID) bool {
	return caller.Kind == auth.Secret || user != 0 && user == caller.UserID
}

// elsewhere replaces a KindNotFound error by one in this surface's words, the
// same for all that cannot be seen.
func elsewhere(err, instead error) error {
	if model.KindOf(err) == model.KindNotFound {
		return instead
	}
	return err
}

// absent makes a KindNotFound error no error: in queries what is not there is
// null.
func absent(err error) error { return elsewhere(err, nil) }

// unidentified is the error for a user whom a TOKEN environment does not know.
func unidentified(caller auth.Caller, path ...string) error {
	return &model.Error{
		Kind: model.KindNotFound, Message: "the user is not known in this environment yet: call identifyUser first",
		Problems: []model.Problem{{Code: model.ProblemNotFound, Path: path, Message: fmt.Sprintf("%q is not known in this environment yet: call identifyUser first", caller.User)}},
	}
}

func required(message string, path ...string) error {
	return &model.Error{Kind: model.KindInvalid, Message: "invalid input", Problems: []model.Problem{{Code: model.ProblemRequired, Path: path, Message: message}}}
}

func invalid(message string, path ...string) error {
	return &model.Error{Kind: model.KindInvalid, Message: "invalid input", Problems: []model.Problem{{Code: model.ProblemInvalid, Path: path, Message: message}}}
}
