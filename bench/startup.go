package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"carillon/internal/lab"
)

// startUp measures the time from exec to the first answer, and the memory of a
// server with nothing to do, on both set-ups.
func (p *place) startUp(ctx context.Context) error {
	home := filepath.Join(filepath.Dir(p.setup.Dir), "embedded")
	if err := os.MkdirAll(home, 0o700); err != nil {
		return err
	}
	embedded, err := lab.Embedded(p.setup.Binary, home)
	if err != nil {
		return err
	}
	for _, s := range []*lab.Setup{embedded, p.setup} {
		var times []float64
		var rss float64
		for range p.rounds + 1 { // the first one migrates and is left out
			srv, took, err := s.Serve(ctx)
			if err != nil {
				return err
			}
			// Two seconds, so that what start-up used has been given back.
			if err := lab.Poll(ctx, 5*time.Second, func() error { return settled(srv.PID()) }); err != nil {
				return err
			}
			rss, err = residentMB(srv.PID())
			srv.Kill()
			if err != nil {
				return err
			}
			times = append(times, float64(took.Microseconds())/1000)
		}
		p.add("W6 start to ready, "+s.Name, fmt.Sprintf("%.0f ms", median(times[1:])), "", "")
		p.add("W6 idle memory (RSS), "+s.Name, fmt.Sprintf("%.1f MB", rss), "", "")
	}
	return nil
}

// settled reports an error while a process has just been started.
func settled(pid int) error {
	stat, err := os.Stat(fmt.Sprintf("/proc/%d", pid))
	if err != nil {
		return err
	}
	if time.Since(stat.ModTime()) < 2*time.Second {
		return fmt.Errorf("process %d is still young", pid)
	}
	return nil
}

// residentMB reads a process's resident memory from /proc.
func residentMB(pid int) (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kb / 1024, err
		}
	}
	return 0, fmt.Errorf("no VmRSS for process %d", pid)
}
