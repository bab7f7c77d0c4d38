package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"carillon/internal/lab"
)

// importStory is a file of users, with the server killed while it arrives, which
// leaves nothing, and again and again while it is worked on: in the end each row
// had its turn once.
type importStory struct {
	rows  int
	kills int
}

// importReport is what the story found.
type importReport struct {
	rows  int
	kills []int // how many rows had had their turn when the server was killed
	took  time.Duration
}

func (r importReport) String() string {
	return fmt.Sprintf("%d rows, killed when %v had had their turn, done after %s", r.rows, r.kills, round(r.took))
}

// run tells the story on s. The error says which promise was broken.
func (c importStory) run(ctx context.Context, s *lab.Setup) (report importReport, err error) {
	report.rows = c.rows
	w, err := newWorld(ctx, s, 1)
	if err != nil {
		return report, err
	}
	defer w.close()
	if _, err := w.start(ctx); err != nil {
		return report, err
	}
	if err := c.cut(ctx, w); err != nil {
		return report, err
	}
	client := lab.NewPatientClient(w.servers[0].URL, w.env.SecretKey, 10*time.Minute)
	began := time.Now()
	i, err := client.Upload(ctx, lab.ImportFile(c.rows))
	if err != nil {
		return report, err
	}
	for n := range c.kills {
		now, err := c.until(ctx, w, i.ID, n*c.rows/(c.kills+1))
		if err != nil {
			return report, err
		}
		w.servers[0].Kill()
		report.kills = append(report.kills, now.Processed)
		if _, err := w.again(ctx, 0); err != nil {
			return report, err
		}
	}
	last, err := c.until(ctx, w, i.ID, c.rows+1)
	if err != nil {
		return report, err
	}
	report.took = time.Since(began)
	wrong := c.rows / 100
	if want := (lab.Import{
		ID: i.ID, Status: "DONE", Total: c.rows, Processed: c.rows, Valid: c.rows - 2*wrong, Created: c.rows - 2*wrong, Invalid: wrong, Duplicates: wrong,
	}); last != want {
		return report, fmt.Errorf("it ended as %+v, want %+v", last, want)
	}
	return report, w.withLogs(w.verify(ctx))
}

// cut kills the server while a file arrives.
func (c importStory) cut(ctx context.Context, w *world) error {
	client := lab.NewPatientClient(w.servers[0].URL, w.env.SecretKey, 10*time.Minute)
	failed := make(chan error, 1)
	go func() {
		_, err := client.Upload(ctx, lab.ImportFile(5_000_000))
		failed <- err
	}()
	select {
	case err := <-failed:
		return fmt.Errorf("the upload ended early: %w", err)
	case <-time.After(300 * time.Millisecond):
	}
	w.servers[0].Kill()
	if <-failed == nil {
		return errors.New("an upload that was cut was acknowledged")
	}
	_, err := w.again(ctx, 0)
	return err
}

// until waits until so many rows had their turn, or the import is done.
func (c importStory) until(ctx context.Context, w *world, id string, processed int) (lab.Import, error) {
	client := w.client(0)
	defer client.Close()
	var before lab.Import
	err := lab.Poll(ctx, insistFor, func() error {
		now, err := client.ImportOf(ctx, id)
		switch {
		case err != nil:
			return err
		case now.Processed < before.Processed, now.Valid+now.Invalid+now.Duplicates != now.Processed:
			return lab.StopPolling{Err: fmt.Errorf("it went from %+v to %+v", before, now)}
		}
		before = now
		if now.Status != "DONE" && now.Processed < processed {
			return fmt.Errorf("it has come to %+v", now)
		}
		return nil
	})
	return before, err
}
