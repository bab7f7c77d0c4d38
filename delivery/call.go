package delivery

import (
	"errors"
	"net/http"

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

// Unreached is what a failure to connect comes to, and any other before a message
// was written.
func Unreached(err error) *Error {
	if errors.Is(err, ErrBlocked) {
		return &Error{Class: model.ClassConfig, Message: blocked, Err: err}
	}
	return &Error{Class: model.ClassTransient, Message: "the provider could not be reached: " + dial.Describe(err), Err: err}
}
