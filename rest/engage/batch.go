package engage

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"carillon/model"
	"carillon/rest"
)

const (
	maxBatch    = 1000 // items of one batch
	batchWithin = time.Minute
)

// batched is the answer to a batch. Errors says what was left out.
type batched struct {
	status
	Errors []itemError `json:"errors,omitempty"`
}

type itemError struct {
	Index int    `json:"index"`
	Error string `json:"error"`
}

// batch works on items one after the other. Each names a user by id (or uid); one
// with an event is as the body of POST /users/{uid}/events, any other as that of
// PUT /users/{uid}. One that is wrong does not keep the others from being done.
func (a *API) batch(r *http.Request) (int, any, error) {
	c, err := a.beginLarge(r, "batch")
	if err != nil {
		return 0, nil, err
	}
	c.body.Required("data")
	items := c.body.List("data")
	c.check.That(len(items) <= maxBatch, "must have at most "+strconv.Itoa(maxBatch)+" items", "data")
	if err := c.check.Err(); err != nil {
		return 0, nil, err
	}
	out := batched{status: status{"queued"}}
	for i, raw := range items {
		item := &call{API: a, r: r, caller: c.caller, env: c.env, once: c.once}
		if item.once.Set() {
			item.once.Key += "#" + strconv.Itoa(i)
		}
		item.body = rest.Object(raw, &item.check)
		err := item.work()
		if e, is := errors.AsType[*model.Error](err); is && (e.Kind == model.KindInvalid || e.Kind == model.KindNotFound || e.Kind == model.KindConflict) {
			f := rest.Failure{Message: e.Message, Problems: e.Problems}
			out.Errors = append(out.Errors, itemError{i, strings.Join(f.Texts(), "; ")})
		} else if err != nil {
			return 0, nil, err
		}
	}
	return http.StatusOK, out, nil
}

// work does what one item of a batch says.
func (c *call) work() error {
	named := "id"
	if !c.body.Has(named) && c.body.Has("uid") {
		named = "uid"
	}
	identifier := uid(c.body.Raw(named), &c.check, "id")
	if err := c.check.Err(); err != nil {
		return err
	}
	if c.body.Has("event") {
		return c.tracked(identifier)
	}
	_, err := c.put(identifier)
	return err
}
