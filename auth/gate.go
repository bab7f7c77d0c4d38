package auth

import (
	"context"
	"errors"
	"net/http"

	"carillon/model"
)

// Gate stands in front of the surfaces: it authenticates, counts wrong
// credentials and holds pages to the environment's origins.
type Gate struct {
	Service *Service
	Limiter *Limiter // nil: wrong credentials are not limited
	// Refuse answers a request that is not let through, by the kind of err:
	// UNAUTHENTICATED (never ErrNone), FORBIDDEN, RATE_LIMITED, or that of a
	// failed look-up. It shows the message of a *model.Error and never its
	// Err, which is for the log.
	Refuse func(w http.ResponseWriter, r *http.Request, err error)
	// Source says where a request comes from; nil means [SourceOf]. A server
	// behind a proxy reads the client's address from what that proxy sets.
	Source func(*http.Request) Source
}

// Admit says who presented p from a source. Besides the errors of
// [Service.Authenticate] there are KindRateLimited, in place of the one for a
// wrong credential, and KindForbidden for a page of an origin that the
// environment does not list.
func (g *Gate) Admit(ctx context.Context, from Source, p Presented) (Caller, error) {
	c, err := g.Service.Authenticate(ctx, p)
	if err != nil {
		return Caller{}, g.counted(from, err)
	}
	if err := checkOrigin(c, from); err != nil {
		return Caller{}, err
	}
	return c, nil
}

// AdmitInit is Admit for the payload of a connection_init, or of a ping that
// renews, on a socket whose upgrade request presented upgrade.
func (g *Gate) AdmitInit(ctx context.Context, from Source, payload []byte, upgrade Presented) (Caller, error) {
	p, err := FromInit(payload, upgrade)
	if err != nil {
		return Caller{}, g.counted(from, err)
	}
	return g.Admit(ctx, from, p)
}

// Counted counts err, of a surface that reads credentials by itself, when it is
// about a wrong credential, and returns what to answer.
func (g *Gate) Counted(from Source, err error) error { return g.counted(from, err) }

// counted counts err when it is about a wrong credential.
func (g *Gate) counted(from Source, err error) error {
	if !IsRefused(err) {
		return err
	}
	if wait := g.Limiter.Failed(from.Address, g.Service.now()); wait > 0 {
		return &model.Error{
			Kind: model.KindRateLimited, Message: "too many wrong credentials from this address",
			RetryAfter: wait, Err: err,
		}
	}
	return err
}

// Middleware authenticates each request before anything of its body is read.
// next finds the caller in the context, or none when the request presented no
// credential; a request that presented a wrong one does not get there.
func (g *Gate) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := g.request(r)
		switch {
		case err == nil:
			next.ServeHTTP(w, r.WithContext(WithCaller(r.Context(), c)))
		case errors.Is(err, ErrNone):
			next.ServeHTTP(w, r)
		default:
			g.Refuse(w, r, err)
		}
	})
}

func (g *Gate) request(r *http.Request) (Caller, error) {
	from := g.source(r)
	p, err := FromRequest(r)
	if err != nil {
		return Caller{}, g.counted(from, err)
	}
	return g.Admit(r.Context(), from, p)
}

func (g *Gate) source(r *http.Request) Source {
	if g.Source != nil {
		return g.Source(r)
	}
	return SourceOf(r)
}
