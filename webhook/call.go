package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"carillon/delivery"
	"carillon/internal/dial"
	"carillon/internal/signature"
	"carillon/model"
)

// payload is the body of a call.
type payload struct {
	Type      model.WebhookEventType `json:"type"`
	Timestamp time.Time              `json:"timestamp"`
	Data      json.RawMessage        `json:"data"`
}

// errSealed: the master key is not the one that the secret was sealed with.
var errSealed = errors.New("the secret cannot be opened: rotate it, and replay what failed")

// result is what came of a call.
type result struct {
	attempt    model.WebhookAttempt
	retryAfter time.Duration // what the endpoint asked to wait; zero: it did not say
	gone       bool          // it wants no more calls, ever
}

// call posts one event. The id in its headers is the same in every attempt; the
// time is that of the attempt.
func (s *Service) call(ctx context.Context, e model.WebhookEndpoint, ev model.WebhookEvent, identifier string) (r result) {
	r.attempt = model.WebhookAttempt{Event: ev.ID, N: ev.Attempt + 1, StartedAt: s.now()}
	began := time.Now()
	answer, err := s.post(ctx, e, ev, identifier)
	r.attempt.Took = time.Since(began)
	if errors.Is(err, errSealed) {
		r.attempt.Class, r.attempt.Detail = model.ClassConfig, errSealed.Error()
		return r
	}
	if err != nil {
		r.attempt.Class, r.attempt.Detail = model.ClassTransient, "the endpoint did not answer: "+dial.Describe(err)
		if errors.Is(err, dial.ErrBlocked) {
			r.attempt.Class, r.attempt.Detail = model.ClassConfig, "blocked_address: the address is not public, and not on the allow-list"
		}
		return r
	}
	r.attempt.Status, r.attempt.Answer = answer.Status, delivery.Cut(delivery.OneLine(string(bytes.ToValidUTF8(answer.Body, nil))), model.MaxAnswer)
	failure := delivery.StatusError(answer.Status, answer.Header, nil, s.now())
	if failure == nil {
		return r
	}
	// What an endpoint refuses today may be a mistake of its own, so that every
	// refusal but 410 is tried again, as the specification wants it.
	r.attempt.Class, r.attempt.Detail = model.ClassTransient, fmt.Sprintf("the endpoint answered %d %s", answer.Status, http.StatusText(answer.Status))
	if answer.Status >= 300 && answer.Status < 400 {
		r.attempt.Detail += ": redirects are not followed"
	}
	if failure.Class == model.ClassRateLimited {
		r.attempt.Class = model.ClassRateLimited
	}
	r.retryAfter, r.gone = failure.RetryAfter, answer.Status == http.StatusGone
	return r
}

func (s *Service) post(ctx context.Context, e model.WebhookEndpoint, ev model.WebhookEvent, identifier string) (*dial.Answer, error) {
	secrets, err := s.secrets(e)
	if err != nil {
		return nil, err
	}
	body, err := model.EncodeJSON(payload{ev.Type, ev.OccurredAt, s.Show(ev, identifier)})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.URL, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "Carillon")
	signature.Sign(req.Header, s.Name(ev.ID), s.now(), body, secrets...)
	return dial.Do(s.HTTP, req)
}

// secrets are what calls to an endpoint are signed with, the present one first.
func (s *Service) secrets(e model.WebhookEndpoint) (out []signature.Secret, err error) {
	texts := [][]byte{e.Sealed}
	if e.Previous != nil && s.now().Before(e.PreviousUntil) {
		texts = append(texts, e.Previous)
	}
	for _, text := range texts {
		plain, err := s.Box.Open(text, sealed(e.EnvID, e.ID))
		if err != nil {
			return nil, errors.Join(errSealed, err)
		}
		secret, err := signature.ParseSecret(string(plain))
		if err != nil {
			return nil, err
		}
		out = append(out, secret)
	}
	return out, nil
}
