package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"carillon/internal/lab"
)

// logStory is a log that goes into a pipe which nobody reads, as when what collects
// logs hangs: no request waits for it, nor does the end of the server.
type logStory struct {
	requests int // each of which is a line of the log
	senders  int
}

// logReport is what the story found.
type logReport struct {
	answers *timings
	took    time.Duration
	dropped int           // lines, by the server's count
	stopped time.Duration // from SIGTERM to the end of the process
	read    int           // lines that were in the pipe at the end
}

func (r logReport) String() string {
	return fmt.Sprintf("%d requests within %s, answers %s; %d lines dropped, %d in the pipe; stopped within %s",
		len(r.answers.all), round(r.took), r.answers, r.dropped, r.read, round(r.stopped))
}

// run tells the story on s. The error says which promise was broken.
func (l logStory) run(ctx context.Context, s *lab.Setup) (report logReport, err error) {
	report.answers = new(timings)
	w, err := newWorld(ctx, s, 1)
	if err != nil {
		return report, err
	}
	defer w.close()
	if w.metrics, err = lab.FreeAddr(); err != nil {
		return report, err
	}
	out, in, err := os.Pipe()
	if err != nil {
		return report, err
	}
	defer out.Close()
	s.LogTo = in
	w.settings = []string{"LOG_LEVEL=INFO", "METRICS_ADDR=" + w.metrics}
	_, err = w.start(ctx)
	if err := errors.Join(err, in.Close()); err != nil { // now the server alone has it
		return report, err
	}
	began := time.Now()
	if err := l.ask(ctx, w, report.answers); err != nil {
		return report, err
	}
	report.took = time.Since(began)
	if report.dropped, err = w.metric(ctx, "carillon_log_lines_dropped_total"); err != nil {
		return report, err
	}
	began = time.Now()
	code, err := w.servers[0].Stop(stopWithin)
	if err != nil {
		return report, err
	}
	report.stopped = time.Since(began)
	if code != 0 {
		return report, fmt.Errorf("the server ended with %d", code)
	}
	printed, err := io.ReadAll(out)
	report.read = strings.Count(string(printed), "\n")
	if err == nil && report.read >= l.requests {
		err = fmt.Errorf("all %d lines went into the pipe: it was never full", report.read)
	}
	return report, err
}

// ask makes the requests, each of which must be answered.
func (l logStory) ask(ctx context.Context, w *world, answers *timings) error {
	var wg sync.WaitGroup
	errs := make([]error, l.senders)
	for i := range l.senders {
		wg.Go(func() {
			c := w.client(0)
			defer c.Close()
			for range l.requests / l.senders {
				asked := time.Now()
				if _, err := c.Counters(ctx, w.users[0]); err != nil {
					errs[i] = fmt.Errorf("while nobody reads the log: %w", err)
					return
				}
				answers.add(time.Since(asked))
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
