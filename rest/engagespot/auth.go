package engagespot

import (
	"errors"
	"net/http"

	"carillon/auth"
	"carillon/model"
)

// The headers that carry credentials.
const (
	headerKey       = "X-Engagespot-Api-Key"
	headerSecret    = "X-Engagespot-Api-Secret"
	headerSecretToo = "X-Engagespot-Secret-Key"
	headerUser      = "X-Engagespot-User-Id"
	headerSignature = "X-Engagespot-User-Signature"
	headerDevice    = "X-Engagespot-Device-Id"
)

// requestHeaders are the headers that pages may send, besides those of every
// dialect.
var requestHeaders = []string{
	"x-engagespot-api-key", "x-engagespot-user-id", "x-engagespot-user-signature", "x-engagespot-device-id",
}

// Presented reads the credential headers of a request. A token decides alone;
// else the secret does, which acts as the user who is named or as the
// application; else the user, as far as the environment trusts a name.
func Presented(r *http.Request) (auth.Presented, error) {
	p := auth.Presented{Legacy: true}
	var secretToo string
	for _, f := range []struct {
		header string
		to     *string
	}{
		{auth.HeaderAuthorization, &p.Authorization},
		{headerKey, &p.Key},
		{headerSecret, &p.Secret},
		{headerSecretToo, &secretToo},
		{headerUser, &p.User},
		{headerSignature, &p.Signature},
	} {
		v, err := auth.Header(r.Header, f.header)
		if err != nil {
			return auth.Presented{}, err
		}
		*f.to = v
	}
	if p.Secret == "" {
		p.Secret = secretToo
	} else if secretToo != "" && secretToo != p.Secret {
		return auth.Presented{}, auth.Refuse("%s and %s differ", headerSecret, headerSecretToo)
	}
	p.Signature = Signature(p.Signature)
	if p.Authorization != "" {
		p.Secret, p.Signature = "", ""
	}
	return p, nil
}

// Signature is a signature as it was given; clients that have none may say
// undefined or null.
func Signature(given string) string {
	if given == "undefined" || given == "null" {
		return ""
	}
	return given
}

var errNone = model.Errorf(model.KindUnauthenticated,
	"a credential is required: X-ENGAGESPOT-API-KEY with X-ENGAGESPOT-API-SECRET or X-ENGAGESPOT-USER-ID, or a user token as Authorization: Bearer")

// authenticate says who calls.
func (a *API) authenticate(r *http.Request) (auth.Caller, error) {
	from := auth.SourceOf
	if a.Gate.Source != nil {
		from = a.Gate.Source
	}
	p, err := Presented(r)
	if err != nil {
		return auth.Caller{}, a.Gate.Counted(from(r), err)
	}
	c, err := a.Gate.Admit(r.Context(), from(r), p)
	if errors.Is(err, auth.ErrNone) {
		err = errNone
	}
	return c, err
}

// onlyApp is for routes that take the application's secret.
func onlyApp(c auth.Caller) error {
	if c.Kind != auth.Secret {
		return model.Errorf(model.KindForbidden, "this route is for back ends: send the API key with the API secret, and no user")
	}
	return nil
}

// onlyUser is for routes of a user.
func onlyUser(c auth.Caller) error {
	if c.Kind != auth.User {
		return model.Errorf(model.KindUnauthenticated, "this route is for a user: send X-ENGAGESPOT-USER-ID with the key, or a user token")
	}
	return nil
}
