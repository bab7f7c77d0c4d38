package transport

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"carillon/graph/operation"
	"carillon/internal/shed"
)

// turnedAway is the answer to requests that are turned away, made once.
type turnedAway struct {
	body   []byte
	length []string
	after  []string
}

func newTurnedAway(engine *operation.Engine) turnedAway {
	errs := engine.Present(context.Background(), shed.Busy())
	body := operation.Refused(errs).AppendJSON(nil)
	return turnedAway{body, []string{strconv.Itoa(len(body))}, []string{retryAfter(http.StatusServiceUnavailable, errs)}}
}

// TurnAway answers a request for which there is no room, of which nothing was
// looked at, just as one is answered that is refused later.
func (h *Handler) TurnAway(w http.ResponseWriter, r *http.Request) {
	media := negotiate(r.Header["Accept"])
	if media != mediaGraphQL {
		media = mediaJSON
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(h.settings.WriteTimeout))
	header, away := w.Header(), h.away()
	open(header)
	header["Content-Type"] = contentTypes[media]
	header["Content-Length"] = away.length
	header["Retry-After"] = away.after
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = w.Write(away.body)
}
