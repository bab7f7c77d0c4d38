package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"carillon/graph/operation"
	"carillon/model"
)

// turnedAway are the answers to requests that are turned away for one reason, made
// once.
type turnedAway struct {
	status int
	header http.Header
	body   []byte
	whole  atomic.Pointer[wholeAnswers]
}

// wholeAnswers are the answers as they go over a connection in one second, which their
// Date tells.
type wholeAnswers struct {
	second       int64
	open, closed map[string][]byte // by media type: where the connection stays open, and where it does not
}

// reason is why requests are turned away: the error, and when to come back.
type reason struct {
	kind    model.Kind
	message string
	seconds int
}

// mostAway bounds how many answers are kept: waits are seldom longer than this in
// seconds.
const mostAway = 120

// away is the answer to those who are turned away for an error.
func (h *Handler) away(why error) *turnedAway {
	var e *model.Error
	if !errors.As(why, &e) {
		return h.newTurnedAway(why)
	}
	r := reason{e.Kind, e.Message, int(math.Ceil(e.RetryAfter.Seconds()))}
	if known, ok := h.turned.Load(r); ok {
		return known.(*turnedAway)
	}
	made := h.newTurnedAway(why)
	if r.seconds <= mostAway {
		h.turned.Store(r, made)
	}
	return made
}

func (h *Handler) newTurnedAway(why error) *turnedAway {
	errs := h.engine.Present(context.Background(), why)
	resp := operation.Refused(errs)
	away := &turnedAway{status: statusOf(mediaGraphQL, resp), header: http.Header{}, body: resp.AppendJSON(nil)}
	open(away.header)
	away.header.Set("Content-Length", strconv.Itoa(len(away.body)))
	away.header.Set("Retry-After", retryAfter(away.status, errs))
	return away
}

// at are the whole answers at a time.
func (t *turnedAway) at(now time.Time) *wholeAnswers {
	if w := t.whole.Load(); w != nil && w.second == now.Unix() {
		return w
	}
	w := &wholeAnswers{now.Unix(), map[string][]byte{}, map[string][]byte{}}
	for _, media := range []string{mediaJSON, mediaGraphQL} {
		w.open[media], w.closed[media] = t.message(now, media, false), t.message(now, media, true)
	}
	t.whole.Store(w)
	return w
}

// message is the answer as it goes over a connection.
func (t *turnedAway) message(now time.Time, media string, closes bool) []byte {
	header := t.header.Clone()
	header["Content-Type"] = contentTypes[media]
	header.Set("Date", now.UTC().Format(http.TimeFormat))
	if closes {
		header.Set("Connection", "close")
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", t.status, http.StatusText(t.status))
	_ = header.Write(&b) // a buffer takes all
	b.WriteString("\r\n")
	b.Write(t.body)
	return b.Bytes()
}

// mediaOfRefusal is the media type of a refusal.
func mediaOfRefusal(accept []string) string {
	if negotiate(accept) == mediaGraphQL {
		return mediaGraphQL
	}
	return mediaJSON
}

// TurnAway answers a request of which nothing was looked at, just as one is answered
// that is refused with the same error later.
func (h *Handler) TurnAway(w http.ResponseWriter, r *http.Request, why error) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(h.settings.WriteTimeout))
	header, away := w.Header(), h.away(why)
	maps.Copy(header, away.header)
	header["Content-Type"] = contentTypes[mediaOfRefusal(r.Header["Accept"])]
	w.WriteHeader(away.status)
	_, _ = w.Write(away.body)
}

// TurnedAway is what [Handler.TurnAway] answers, all of it as it goes over a
// connection, which closes after it or does not.
func (h *Handler) TurnedAway(accept string, closes bool, why error) []byte {
	answers, media := h.away(why).at(time.Now()), mediaOfRefusal([]string{accept})
	if closes {
		return answers.closed[media]
	}
	return answers.open[media]
}
