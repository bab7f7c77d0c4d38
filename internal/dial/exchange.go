package dial

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
)

// maxAnswer is how many bytes of an answer are read.
const maxAnswer = 64 << 10

// What an answer may not be. Its connection is dropped.
var (
	ErrTooLarge = fmt.Errorf("the answer has more than %d bytes", maxAnswer)
	ErrEncoded  = errors.New("the answer is compressed, which was not asked for")
	errSwitched = errors.New("the answer switches protocols, which was not asked for")
)

// Answer is a whole answer.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// ExchangeError says why there is no answer. Sent reports whether the other side
// may have got the whole request, so that it may have acted on it.
type ExchangeError struct {
	Sent bool
	Err  error
}

func (e *ExchangeError) Error() string {
	if e.Sent {
		return "waiting for the answer: " + e.Err.Error()
	}
	return "sending the request: " + e.Err.Error()
}

func (e *ExchangeError) Unwrap() error { return e.Err }

// Do sends a request and reads the whole answer, both within [Timeout]. Redirects
// are answers like others. The error is an [ExchangeError] and does not hold the
// URL, which may be a secret.
func (d *Dialer) Do(ctx context.Context, req *http.Request) (*Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	var sent atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteRequest: func(w httptrace.WroteRequestInfo) { sent.Store(w.Err == nil) },
	})
	req = req.Clone(ctx)
	req.Header.Set("Accept-Encoding", "identity")
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", "Carillon")
	}
	answer, err := d.exchange(req)
	if err != nil {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err
		}
		return nil, &ExchangeError{Sent: sent.Load() || answer != nil, Err: err}
	}
	return answer, nil
}

// exchange returns what it has of an answer along with the error.
func (d *Dialer) exchange(req *http.Request) (*Answer, error) {
	resp, err := d.client.Do(req) //nolint:gosec // G704: to guard such requests is what this package is for
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() // before its end: drops the connection
	a := &Answer{Status: resp.StatusCode, Header: resp.Header}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return a, errSwitched // the deadline would not end reading such a body
	}
	switch resp.Header.Get("Content-Encoding") {
	case "", "identity":
	default:
		return a, ErrEncoded
	}
	if a.Body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1)); err != nil {
		return a, err
	}
	if len(a.Body) > maxAnswer {
		return a, ErrTooLarge
	}
	return a, nil
}
