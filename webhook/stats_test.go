package webhook_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"carillon/model"
	"carillon/store/storetest"
)

func TestCallsAreCounted(t *testing.T) {
	t.Parallel()
	f := newFixture(t, loopback)
	r := newReceiver(t, func(n int, w http.ResponseWriter) {
		w.WriteHeader([]int{500, 429, 204, 410}[n-1])
	})
	ref, _ := f.create(t, model.WebhookEndpointInput{URL: r.URL, Types: []string{"notification.created"}})
	storetest.Send(t, f.store, f.env, storetest.Sent{Title: "Hello"}, f.user)
	f.run(t)
	f.events(t, ref, 1, model.WebhookSent)
	storetest.Send(t, f.store, f.env, storetest.Sent{Title: "Again"}, f.user)
	f.events(t, ref, 1, model.WebhookFailed)
	for class, want := range map[model.ErrorClass]int64{0: 1, model.ClassTransient: 2, model.ClassRateLimited: 1, model.ClassConfig: 0} {
		if got := f.Calls(class); got != want {
			t.Errorf("%d calls ended as %s, want %d", got, class, want)
		}
	}
	deadline := time.Now().Add(5 * time.Second)
	for f.Numbers().Busy != 0 || f.Numbers().Disabled != 1 { // which is told after it is written
		if time.Now().After(deadline) {
			t.Fatalf("numbers %+v; want one endpoint disabled and none busy", f.Numbers())
		}
		<-time.After(time.Millisecond)
	}
	if n := f.Numbers(); n.Failed != 1 || n.Lag < 0 || n.Lag > time.Minute {
		t.Errorf("numbers %+v, want one failed event", n)
	}
}

// TestCallsEndWithinTheLease has an endpoint hang: what is called is cut, and what
// there is no time left for is put back as it was.
func TestCallsEndWithinTheLease(t *testing.T) {
	t.Parallel()
	f := newFixture(t, loopback)
	f.Lease = 2 * time.Second
	var called atomic.Int64
	hanging := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		called.Add(1)
		_, _ = io.Copy(io.Discard, r.Body) // or nobody notices that the caller has gone
		<-r.Context().Done()
	}))
	t.Cleanup(hanging.Close)
	ref, _ := f.create(t, model.WebhookEndpointInput{URL: hanging.URL, Types: []string{"notification.created"}})
	for range 12 {
		storetest.Send(t, f.store, f.env, storetest.Sent{Title: "Hello"}, f.user)
	}
	f.run(t)
	deadline := time.Now().Add(10 * time.Second)
	for {
		e, err := f.Endpoints(t.Context(), f.env)
		if err != nil {
			t.Fatal(err)
		}
		if e[0].Failures > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the calls have not ended")
		}
		<-time.After(5 * time.Millisecond)
	}
	tried, left := 0, 0
	for _, e := range f.events(t, ref, 12, model.WebhookQueued) {
		switch {
		case e.Attempt == 1:
			tried++
		case e.Attempt == 0 && e.Tries == 0:
			left++
		}
	}
	if tried == 0 || tried > 8 || left != 12-tried {
		t.Errorf("%d events were tried and %d left as they were; want 8 or fewer tried, and all others left", tried, left)
	}
	if n := int(called.Load()); n > tried {
		t.Errorf("%d calls were made, and %d are known of", n, tried)
	}
}
