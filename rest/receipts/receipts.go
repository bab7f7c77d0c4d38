// Package receipts serves what comes in from outside about messages that went
// out: what providers report of them, and the links by which people unsubscribe.
// Neither carries a credential; the services verify each call.
package receipts

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"carillon/auth"
	"carillon/delivery"
	"carillon/internal/admission"
	"carillon/internal/shed"
	"carillon/model"
	"carillon/rest"
)

// Deliveries is what the routes need; *delivery.Service has it.
type Deliveries interface {
	Receive(ctx context.Context, ref model.ProviderRef, call delivery.Call) (model.Reported, error)
	CheckUnsubscribe(token string) error
	Unsubscribe(ctx context.Context, token string) error
}

// Config is what the routes need.
type Config struct {
	Deliveries Deliveries
	Source     func(*http.Request) auth.Source // nil: auth.SourceOf
	Admission  *admission.Desk
	Timeout    time.Duration
	Log        *slog.Logger
}

// API serves the routes. Make one with New.
type API struct{ Config }

// New makes the API.
func New(c Config) *API { return &API{c} }

// Mount adds the routes.
func (a *API) Mount(router *rest.Router) {
	s := &rest.Surface{Name: "receipts", Source: a.Source, Admission: a.Admission, Envelope: envelope, Timeout: a.Timeout, Log: a.Log}
	router.Own("/receipts", s)
	router.Own("/unsubscribe", s)
	router.Handle(s, "POST /receipts/{environment}/{provider}", rest.Access{Open: true, Class: shed.Sending}, a.receive)
	router.Handle(s, "GET /unsubscribe/{token}", rest.Access{Open: true}, a.ask)
	router.Handle(s, "POST /unsubscribe/{token}", rest.Access{Open: true}, a.unsubscribe)
}

// envelope is an error in the form that GraphQL clients read.
func envelope(_ *http.Request, f *rest.Failure) any {
	type extensions struct {
		Code string `json:"code"`
	}
	type problem struct {
		Message    string     `json:"message"`
		Extensions extensions `json:"extensions"`
	}
	return map[string][]problem{"errors": {{f.Message, extensions{f.Code}}}}
}

// maxName bounds a provider's id in a path.
const maxName = 64

func (a *API) receive(r *http.Request) (int, any, error) {
	body, err := rest.Raw(r, delivery.MaxReceipt)
	if err != nil {
		return 0, nil, err
	}
	env, err := strconv.ParseInt(r.PathValue("environment"), 10, 64)
	provider := r.PathValue("provider")
	if err != nil || model.CheckText(provider, maxName) != "" {
		env, provider = 0, "" // which nobody has
	}
	done, err := a.Deliveries.Receive(r.Context(), model.ProviderRef{Env: model.EnvID(env), ID: model.ProviderID(provider)},
		delivery.Call{Query: r.URL.RawQuery, Header: r.Header, Body: body})
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, map[string]int{"applied": done.Applied, "stale": done.Stale, "unknown": done.Unknown}, nil
}

// unsubscribe takes the POST of a mail program or of the page. Its body says
// nothing that the token does not.
func (a *API) unsubscribe(r *http.Request) (int, any, error) {
	if err := a.Deliveries.Unsubscribe(r.Context(), r.PathValue("token")); err != nil {
		return 0, nil, err
	}
	return http.StatusOK, done, nil
}

// ask shows a page with a button: following a link must not unsubscribe, since
// scanners of mail follow them all.
func (a *API) ask(r *http.Request) (int, any, error) {
	if err := a.Deliveries.CheckUnsubscribe(r.PathValue("token")); err != nil {
		return 0, nil, err
	}
	return http.StatusOK, question, nil
}
