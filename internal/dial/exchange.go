package dial

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
)

// maxAnswer is how many bytes of an answer's head and body are read, each.
const maxAnswer = 64 << 10

// What an answer may not be. Its connection is dropped.
var (
	ErrTooLarge = fmt.Errorf("the answer has more than %d bytes", maxAnswer)
	ErrEncoded  = errors.New("the answer is compressed, which was not asked for")
	errSwitched = errors.New("the answer switches protocols, which was not asked for")
)

// bounded sends requests through a transport and lets no answer be more than it
// may.
type bounded struct{ *http.Transport }

// RoundTrip implements [http.RoundTripper].
func (b bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("Accept-Encoding", "identity")
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", "Carillon")
	}
	resp, err := b.Transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if err := unexpected(resp); err != nil {
		_ = resp.Body.Close()
		return nil, err
	}
	resp.Body = &body{resp.Body, maxAnswer}
	return resp, nil
}

func unexpected(resp *http.Response) error {
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return errSwitched // no deadline would end reading such a body
	}
	if resp.ContentLength > maxAnswer {
		return ErrTooLarge
	}
	if e := resp.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return ErrEncoded
	}
	return nil
}

// body ends in an error where more than left bytes come.
type body struct {
	io.ReadCloser
	left int
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= n; b.left < 0 {
		return max(0, n+b.left), ErrTooLarge
	}
	return n, err
}

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

// Do sends a request by a dialer's client and reads the whole answer. A redirect is
// an answer like others. The error is an [ExchangeError] and does not hold the URL,
// which may be a secret.
func Do(client *http.Client, req *http.Request) (*Answer, error) {
	var sent atomic.Bool
	req = req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		WroteRequest: func(w httptrace.WroteRequestInfo) { sent.Store(w.Err == nil) },
	}))
	answer, err := exchange(client, req)
	if err != nil {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err
		}
		return nil, &ExchangeError{Sent: sent.Load(), Err: err}
	}
	return answer, nil
}

func exchange(client *http.Client, req *http.Request) (*Answer, error) {
	resp, err := client.Do(req) //nolint:gosec // G704: to guard such requests is what this package is for
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() // before its end: drops the connection
	a := &Answer{Status: resp.StatusCode, Header: resp.Header}
	if a.Body, err = io.ReadAll(resp.Body); err != nil {
		return nil, err
	}
	return a, nil
}
