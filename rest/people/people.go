// Package people serves what is too large for GraphQL: downloads of all users, and
// of all that is held about one, and uploads of users. It takes a secret key,
// streams, and has no rule of its own.
package people

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"carillon/auth"
	"carillon/internal/admission"
	"carillon/model"
	"carillon/rest"
)

// Users is what the surface asks of users; *user.Service has it.
type Users interface {
	Export(ctx context.Context, env model.EnvID, identifier string, w io.Writer) error
	ExportCSV(ctx context.Context, env model.EnvID, w io.Writer) error
	Import(ctx context.Context, env model.EnvID, file io.Reader, dryRun bool) (model.Import, error)
	FindImport(ctx context.Context, env model.EnvID, id model.ImportID) (model.Import, error)
}

// Config is what the surface works on. Admission and Log may be nil.
type Config struct {
	Users     Users
	Gate      *auth.Gate
	Admission *admission.Desk
	Log       *slog.Logger
}

// API is the surface. Make one with New.
type API struct{ Config }

// New makes the surface.
func New(c Config) *API { return &API{c} }

// longest is how long a download may take.
const longest = 6 * time.Hour

// Mount adds the routes.
func (a *API) Mount(router *rest.Router) {
	s := &rest.Surface{
		Name: "people", Authenticate: a.authenticate, Source: a.Gate.Source, Admission: a.Admission,
		Envelope:  func(_ *http.Request, f *rest.Failure) any { return envelope(f) },
		Challenge: `Bearer realm="Carillon"`, Log: a.Log,
	}
	router.Own("/export", s)
	download := rest.Access{Allow: onlyApplications, Within: longest, Transfer: true}
	router.Handle(s, "GET /export/users.csv", download, a.csv)
	router.Handle(s, "GET /export/users/{file}", download, a.user)
	router.Own("/import", s)
	router.Handle(s, "POST /import/users.csv", download, a.upload)
	router.Handle(s, "GET /import/users/{id}", rest.Access{Allow: onlyApplications}, a.progress)
}

type failure struct {
	Code      string `json:"code"`
	Message   string `json:"message"`
	RequestID string `json:"requestId"`
}

func envelope(f *rest.Failure) any {
	return map[string]failure{"error": {f.Code, f.Message, f.RequestID}}
}

func (a *API) authenticate(r *http.Request) (auth.Caller, error) {
	from := auth.SourceOf
	if a.Gate.Source != nil {
		from = a.Gate.Source
	}
	p, err := auth.FromRequest(r)
	if err != nil {
		return auth.Caller{}, a.Gate.Counted(from(r), err)
	}
	return a.Gate.Admit(r.Context(), from(r), p)
}

func onlyApplications(c auth.Caller) error {
	if c.Kind != auth.Secret || c.Public {
		return model.Errorf(model.KindForbidden, "this needs a secret key; a user's credential will not do")
	}
	return nil
}

func (a *API) csv(r *http.Request) (int, any, error) {
	caller, err := auth.RequireSecret(r.Context())
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, rest.Stream{Type: "text/csv; charset=utf-8", Filename: "users.csv", Write: func(w io.Writer) error {
		return a.Users.ExportCSV(r.Context(), caller.Env.ID, w)
	}}, nil
}

func (a *API) user(r *http.Request) (int, any, error) {
	caller, err := auth.RequireSecret(r.Context())
	if err != nil {
		return 0, nil, err
	}
	identifier, ok := strings.CutSuffix(r.PathValue("file"), ".json")
	if !ok {
		return 0, nil, model.NotFound("must be a user's identifier followed by .json", "file")
	}
	return http.StatusOK, rest.Stream{Type: "application/json; charset=utf-8", Filename: "user.json", Write: func(w io.Writer) error {
		return a.Users.Export(r.Context(), caller.Env.ID, identifier, w)
	}}, nil
}
