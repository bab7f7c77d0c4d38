package delivery_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"carillon/delivery"
	"carillon/internal/dial"
	"carillon/model"
)

func TestCallTellsWhatMayHaveHappened(t *testing.T) {
	t.Parallel()
	outside := delivery.Outside{HTTP: dial.New(dial.Config{Guard: dial.Guard{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}}).HTTP()}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/drop" {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(http.StatusTeapot)
	}))
	t.Cleanup(s.Close)
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = gone.Close()
	for _, tt := range []struct {
		name, url string
		want      model.ErrorClass
		says      string
	}{
		{"Answered", s.URL + "/secret", 0, ""},
		{"Dropped", s.URL + "/drop?secret", model.ClassUnknown, "may have got the message"},
		{"Refused", "http://" + gone.Addr().String() + "/secret", model.ClassTransient, "could not be reached: the connection was refused"},
		{"Blocked", "http://127.0.0.2:1/secret", model.ClassConfig, "blocked_address"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, tt.url, strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			answer, err := outside.Call(req)
			if tt.want == 0 {
				if err != nil || answer.Status != http.StatusTeapot {
					t.Errorf("got %+v, %v", answer, err)
				}
				return
			}
			var e *delivery.Error
			if !errors.As(err, &e) || e.Class != tt.want || !strings.Contains(e.Message, tt.says) || strings.Contains(err.Error(), "secret") {
				t.Errorf("got %v, want %s: %s", err, tt.want, tt.says)
			}
		})
	}
}
