package receipts_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"carillon/delivery"
	"carillon/model"
	"carillon/rest"
	"carillon/rest/receipts"
)

// deliveries takes calls for the provider 7/p that have the body "good", and the
// token "good".
type deliveries struct{ done []string }

func (d *deliveries) Receive(_ context.Context, ref model.ProviderRef, call delivery.Call) (model.Reported, error) {
	switch {
	case ref != (model.ProviderRef{Env: 7, ID: "p"}):
		return model.Reported{}, model.Errorf(model.KindUnauthenticated, "the call cannot be verified")
	case string(call.Body) != "good":
		return model.Reported{}, model.Errorf(model.KindInvalid, "type is required")
	}
	d.done = append(d.done, "received "+call.Query)
	return model.Reported{Applied: 1, Unknown: 2}, nil
}

func (d *deliveries) CheckUnsubscribe(token string) error {
	if token != "good" {
		return model.Errorf(model.KindNotFound, "no link")
	}
	return nil
}

func (d *deliveries) Unsubscribe(_ context.Context, token string) error {
	d.done = append(d.done, "unsubscribed")
	return d.CheckUnsubscribe(token)
}

func serve(d *deliveries) http.Handler {
	router := &rest.Router{Next: http.NotFoundHandler()}
	receipts.New(receipts.Config{Deliveries: d, Log: slog.New(slog.DiscardHandler)}).Mount(router)
	return router
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, method, path, body string
		status                   int
		answer, done             string
	}{
		{"Receipt", "POST", "/receipts/7/p?delivery=d", "good", 200, `{"applied":1,"stale":0,"unknown":2}`, "received delivery=d"},
		{"Unreadable", "POST", "/receipts/7/p", "bad", 400, "INVALID", ""},
		{"OtherEnvironment", "POST", "/receipts/8/p", "good", 401, "UNAUTHENTICATED", ""},
		{"NoNumber", "POST", "/receipts/x/p", "good", 401, "UNAUTHENTICATED", ""},
		{"TooLong", "POST", "/receipts/7/" + strings.Repeat("p", 100), "good", 401, "UNAUTHENTICATED", ""},
		{"ControlCharacter", "POST", "/receipts/7/p%00", "good", 401, "UNAUTHENTICATED", ""},
		{"TooLarge", "POST", "/receipts/7/p", strings.Repeat("x", delivery.MaxReceipt+1), 413, "PAYLOAD_TOO_LARGE", ""},
		{"OtherMethod", "GET", "/receipts/7/p", "", 405, "METHOD_NOT_ALLOWED", ""},
		{"OtherPath", "POST", "/receipts/7", "", 404, "NOT_FOUND", ""},
		{"FollowingALinkOnlyAsks", "GET", "/unsubscribe/good", "", 200, "<form method=\"post\">", ""},
		{"OneClick", "POST", "/unsubscribe/good", "List-Unsubscribe=One-Click", 200, "You are unsubscribed", "unsubscribed"},
		{"NoSuchLink", "GET", "/unsubscribe/bad", "", 404, "NOT_FOUND", ""},
		{"NoSuchLinkPosted", "POST", "/unsubscribe/bad", "", 404, "NOT_FOUND", "unsubscribed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := &deliveries{}
			w := httptest.NewRecorder()
			r := httptest.NewRequestWithContext(t.Context(), tt.method, tt.path, strings.NewReader(tt.body))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			serve(d).ServeHTTP(w, r)
			if got := strings.Join(d.done, ", "); w.Code != tt.status || !strings.Contains(w.Body.String(), tt.answer) || got != tt.done {
				t.Errorf("%d %s, done %q; want %d with %s, done %q", w.Code, w.Body, got, tt.status, tt.answer, tt.done)
			}
		})
	}
}

// FuzzRoutes holds the routes to never failing for what is sent to them.
func FuzzRoutes(f *testing.F) {
	f.Add("/receipts/7/p", []byte("good"))
	f.Add("/unsubscribe/%00", []byte(nil))
	h := serve(&deliveries{})
	f.Fuzz(func(t *testing.T, path string, body []byte) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://x/"+strings.TrimLeft(path, "/"), io.NopCloser(strings.NewReader(string(body))))
		if err != nil {
			return // no request can say this
		}
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code >= 500 {
			t.Errorf("%s: %d", path, w.Code)
		}
	})
}
