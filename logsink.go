package main

import (
	"bytes"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// logWaiting is how much of the log waits at most, in bytes, for whoever takes it.
const logWaiting = 1 << 20

// logSink passes the log on without anybody waiting for whoever takes it: a pipe
// that is not read, a disk that is full or hangs. Lines wait in memory meanwhile.
// When there is no room for them, new ones are dropped and counted, and the log
// says how many once it is taken again.
type logSink struct {
	to      io.Writer
	dropped atomic.Int64 // in all
	more    chan struct{}

	mu      sync.Mutex
	waiting []byte
	missing int             // lines dropped since it was last told
	writing bool            // something is being passed on
	done    []chan struct{} // closed when nothing waits any more
}

// newLogSink passes lines on to a writer for as long as the process lives.
func newLogSink(to io.Writer) *logSink {
	s := &logSink{to: to, more: make(chan struct{}, 1)}
	go s.run()
	return s
}

// Write takes one line. It never waits and never fails.
func (s *logSink) Write(line []byte) (int, error) {
	s.mu.Lock()
	if len(s.waiting)+len(line) > logWaiting {
		s.missing++
		s.dropped.Add(1)
	} else {
		s.waiting = append(s.waiting, line...)
	}
	s.mu.Unlock()
	select {
	case s.more <- struct{}{}:
	default:
	}
	return len(line), nil
}

func (s *logSink) run() {
	var spare []byte
	for range s.more {
		for {
			lines, missing := s.take(spare)
			if len(lines) == 0 && missing == 0 {
				break
			}
			s.pass(lines, missing)
			spare = lines[:0]
		}
	}
}

// take takes all that waits, and leaves room in its place. When that is nothing,
// whoever waits for it is told.
func (s *logSink) take(spare []byte) (lines []byte, missing int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	lines, missing = s.waiting, s.missing
	s.waiting, s.missing = spare, 0
	s.writing = len(lines) > 0 || missing > 0
	if !s.writing {
		for _, c := range s.done {
			close(c)
		}
		s.done = nil
	}
	return lines, missing
}

// pass writes lines, and how many are missing after them. What cannot be written is
// dropped.
func (s *logSink) pass(lines []byte, missing int) {
	if n, err := s.to.Write(lines); err != nil {
		s.dropped.Add(int64(bytes.Count(lines[min(n, len(lines)):], []byte("\n"))))
	}
	if missing > 0 {
		slog.New(slog.NewJSONHandler(s.to, nil)).Warn("lines of the log were dropped here: they were not taken as fast as they came", "lines", missing)
	}
}

// flush waits until everything has been passed on, for so long at most.
func (s *logSink) flush(within time.Duration) {
	s.mu.Lock()
	if len(s.waiting) == 0 && s.missing == 0 && !s.writing {
		s.mu.Unlock()
		return
	}
	done := make(chan struct{})
	s.done = append(s.done, done)
	s.mu.Unlock()
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
}
