package transport

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"carillon/graph/operation"
	"carillon/internal/shed"
)

// turnedAway are the answers to requests that are turned away, made once.
type turnedAway struct {
	header http.Header
	body   []byte
	whole  map[string][2][]byte // by media type: on a connection that stays open, and on one that does not
}

func newTurnedAway(engine *operation.Engine) turnedAway {
	errs := engine.Present(context.Background(), shed.Busy())
	body := operation.Refused(errs).AppendJSON(nil)
	away := turnedAway{http.Header{}, body, map[string][2][]byte{}}
	open(away.header)
	away.header.Set("Content-Length", strconv.Itoa(len(body)))
	away.header.Set("Retry-After", retryAfter(http.StatusServiceUnavailable, errs))
	for _, media := range []string{mediaJSON, mediaGraphQL} {
		away.whole[media] = [2][]byte{away.message(media, false), away.message(media, true)}
	}
	return away
}

// message is the answer as it goes over the connection.
func (t turnedAway) message(media string, closes bool) []byte {
	header := t.header.Clone()
	header["Content-Type"] = contentTypes[media]
	if closes {
		header.Set("Connection", "close")
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", http.StatusServiceUnavailable, http.StatusText(http.StatusServiceUnavailable))
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

// TurnAway answers a request for which there is no room, of which nothing was
// looked at, just as one is answered that is refused later.
func (h *Handler) TurnAway(w http.ResponseWriter, r *http.Request) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(h.settings.WriteTimeout))
	header, away := w.Header(), h.away()
	for name, values := range away.header {
		header[name] = values
	}
	header["Content-Type"] = contentTypes[mediaOfRefusal(r.Header["Accept"])]
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = w.Write(away.body)
}

// TurnedAway is what [Handler.TurnAway] answers, all of it as it goes over a
// connection, which closes after it or does not.
func (h *Handler) TurnedAway(accept string, closes bool) []byte {
	answers := h.away().whole[mediaOfRefusal([]string{accept})]
	if closes {
		return answers[1]
	}
	return answers[0]
}
