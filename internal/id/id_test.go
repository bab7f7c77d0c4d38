package id

import (
	"regexp"
	"testing"
	"time"
)

func TestIDsGrowAlthoughTheClockJumpsBack(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s := Source{Now: func() time.Time { at = at.Add(-time.Millisecond); return at }}
	last := ""
	for range 10_000 {
		got := s.New()
		if got <= last {
			t.Fatalf("%q came after %q", got, last)
		}
		last = got
	}
	if len(last) != 20 {
		t.Errorf("an id has %d characters, want 20", len(last))
	}
}

func TestUUIDIsVersion7(t *testing.T) {
	t.Parallel()
	var s Source
	form := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	a, b := s.UUID(), s.UUID()
	if !form.MatchString(a) || a == b {
		t.Errorf("got %q and %q, want two version 7 UUIDs", a, b)
	}
}
