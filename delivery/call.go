package delivery

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"

	"carillon/internal/dial"
	"carillon/model"
)

// Call sends a request of a provider's protocol and returns the whole answer,
// whatever its status. The error is an *[Error]: it tells whether the provider may
// have got the request, and does not hold the URL.
func (o Outside) Call(req *http.Request) (*dial.Answer, error) {
	answer, err := dial.Do(o.HTTP, req)
	if err == nil {
		return answer, nil
	}
	var exchange *dial.ExchangeError
	if errors.As(err, &exchange) && exchange.Sent {
		return nil, &Error{Class: model.ClassUnknown, Message: "the provider may have got the message: " + dial.Describe(err), Err: err}
	}
	return nil, Unreached(err)
}

// Post is [Outside.Call] with a body, whose type is application/json unless the
// header says another.
func (o Outside) Post(ctx context.Context, to string, header http.Header, body []byte) (*dial.Answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return nil, Errorf(model.ClassPermanent, "the provider's URL cannot be called")
	}
	req.Header.Set("Content-Type", "application/json")
	for name, values := range header {
		req.Header[name] = values
	}
	return o.Call(req)
}

// Endpoint is the base of a provider's URLs without the last slash: what the
// setting of that name says, or else the usual one. What is wrong with it is
// recorded.
func (o Outside) Endpoint(c *model.Check, given, usual string) string {
	if given == "" {
		return usual
	}
	if _, err := o.Guard.CheckURL(given, "https", "http"); err != nil {
		c.Add(model.ProblemInvalid, err.Error(), "config", "endpoint")
	}
	return strings.TrimSuffix(given, "/")
}

// EndpointField is the setting that [Outside.Endpoint] reads.
func EndpointField(usual string) Field {
	return Field{Name: "endpoint", Help: "base of the provider's URLs; left out: " + usual, Type: FieldText}
}

// Unreadable is an answer with a status of success that is not what the protocol
// says: the provider may have taken the message.
func Unreadable(a *dial.Answer) *Error {
	return &Error{Class: model.ClassUnknown, Status: a.Status, Answer: string(a.Body), Message: "the provider's answer is not of its protocol"}
}

// Unreached is what a failure to connect comes to, and any other before a message
// was written.
func Unreached(err error) *Error {
	if errors.Is(err, ErrBlocked) {
		return &Error{Class: model.ClassConfig, Message: blocked, Err: err}
	}
	return &Error{Class: model.ClassTransient, Message: "the provider could not be reached: " + dial.Describe(err), Err: err}
}
