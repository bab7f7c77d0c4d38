package webhook

import (
	"sync/atomic"
	"time"

	"carillon/model"
)

// stats are numbers of this process.
type stats struct {
	attempts [model.ClassUnknown + 1]atomic.Int64
	failed   atomic.Int64
	disabled atomic.Int64
	lag      atomic.Int64
}

// count counts a call and what became of its event.
func (s *Service) count(c model.ClaimedWebhookEvent, f model.FinishedWebhookEvent, r result) {
	n := &s.prepare().stats
	n.attempts[r.attempt.Class].Add(1)
	if f.State == model.WebhookFailed {
		n.failed.Add(1)
	}
	if c.Attempt == 0 {
		n.lag.Store(int64(max(0, r.attempt.StartedAt.Sub(c.OccurredAt))))
	}
}

// Numbers are read for the metrics.
type Numbers struct {
	Busy     int           // endpoints being told
	Failed   int64         // events that were given up
	Disabled int64         // endpoints that were disabled for their failures
	Lag      time.Duration // between an event and its first call, of the last one called
}

// Numbers reads the numbers of this process.
func (s *Service) Numbers() Numbers {
	w := s.prepare()
	w.mu.Lock()
	defer w.mu.Unlock()
	return Numbers{Busy: len(w.busy), Failed: w.stats.failed.Load(), Disabled: w.stats.disabled.Load(), Lag: time.Duration(w.stats.lag.Load())}
}

// Calls is how many calls ended in a class; zero: the event was taken.
func (s *Service) Calls(class model.ErrorClass) int64 {
	return s.prepare().stats.attempts[class].Load()
}

// Classes are those that calls end in.
func Classes() []model.ErrorClass {
	return []model.ErrorClass{0, model.ClassTransient, model.ClassRateLimited, model.ClassConfig}
}
