package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// TestLogIsPassedOn has everything written by the time of a flush, in order.
func TestLogIsPassedOn(t *testing.T) {
	t.Parallel()
	var to bytes.Buffer
	s := newLogSink(&to)
	s.flush(time.Minute)
	var want strings.Builder
	for i := range 1000 {
		fmt.Fprintf(s, "line %d\n", i)
		fmt.Fprintf(&want, "line %d\n", i)
	}
	s.flush(time.Minute)
	if to.String() != want.String() || s.dropped.Load() != 0 {
		t.Errorf("%d dropped, %d bytes of %d", s.dropped.Load(), to.Len(), want.Len())
	}
}

// TestNobodyWaitsForTheLog logs into a pipe that nobody reads, far more than fits
// anywhere; then it is read.
func TestNobodyWaitsForTheLog(t *testing.T) {
	t.Parallel()
	r, w := io.Pipe()
	s := newLogSink(w)
	log := slog.New(slog.NewJSONHandler(s, nil))
	const lines = 20_000
	for i := range lines {
		log.Info(strings.Repeat("x", 200), "line", i)
	}
	s.flush(time.Millisecond) // gives up
	dropped := s.dropped.Load()
	if dropped == 0 {
		t.Fatal("nothing was dropped")
	}
	come, told := int64(0), false
	for in := bufio.NewScanner(r); !told && in.Scan(); {
		if told = strings.Contains(in.Text(), "were dropped"); !told {
			come++
		} else if want := fmt.Sprintf(`"lines":%d}`, dropped); !strings.HasSuffix(in.Text(), want) {
			t.Errorf("told %s, want %s", in.Text(), want)
		}
	}
	if come+dropped != lines {
		t.Errorf("%d came and %d were dropped of %d", come, dropped, lines)
	}
	s.flush(time.Minute)
}

// TestLogThatCannotBeWritten counts the lines that a full disk does not take.
func TestLogThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	s := newLogSink(full{})
	fmt.Fprint(s, "one\n")
	fmt.Fprint(s, "two\n")
	s.flush(time.Minute)
	if n := s.dropped.Load(); n != 2 {
		t.Errorf("%d dropped, want 2", n)
	}
}

// full takes nothing.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, io.ErrShortWrite }
