package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"carillon/internal/lab"
)

// importUsers measures an import: how fast the file is taken, how fast its rows
// become users, and what memory the server takes meanwhile, from beginning to end.
func (p *place) importUsers(ctx context.Context) error {
	env, err := p.setup.CreateApp(ctx, "import", "test")
	if err != nil {
		return err
	}
	srv, err := p.serve(ctx, p.setup)
	if err != nil {
		return err
	}
	defer srv.Kill()
	client := lab.NewPatientClient("http://"+srv.addr, env.SecretKey, time.Hour)
	m := &importing{pid: srv.PID(), began: time.Now()}
	if err := m.say("before the upload"); err != nil {
		return err
	}
	i, err := client.Upload(ctx, lab.ImportFile(p.users))
	if err != nil {
		return err
	}
	uploaded := time.Since(m.began)
	if err := m.say("the file is safe"); err != nil {
		return err
	}
	told := 0 // tenths of the file
	if err := lab.Poll(ctx, time.Hour, func() error {
		if i, err = client.ImportOf(ctx, i.ID); err != nil {
			return err
		}
		for ; i.Processed*10 >= (told+1)*i.Total && told < 10; told++ {
			if err := m.say(fmt.Sprintf("%d of %d rows", i.Processed, i.Total)); err != nil {
				return lab.StopPolling{Err: err}
			}
		}
		if i.Status != "DONE" {
			return fmt.Errorf("it has come to %+v", i)
		}
		return nil
	}); err != nil {
		return err
	}
	took := time.Since(m.began) - uploaded
	most, err := m.memory("VmHWM:")
	if err != nil {
		return err
	}
	p.add(result{
		work: fmt.Sprintf("import of %d users: %d created, %d invalid, %d duplicates", i.Total, i.Created, i.Invalid, i.Duplicates),
		ours: fmt.Sprintf("upload %.0f rows/s, then %.0f rows/s; memory %s MB, at most %d", float64(i.Total)/uploaded.Seconds(), float64(i.Total)/took.Seconds(), strings.Join(m.trail, " "), most),
	})
	return nil
}

// importing is what the server takes while an import is under way.
type importing struct {
	pid   int
	began time.Time
	trail []string // of resident memory, MB
}

func (m *importing) say(what string) error {
	now, err := m.memory("VmRSS:")
	if err != nil {
		return err
	}
	m.trail = append(m.trail, strconv.Itoa(now))
	fmt.Fprintf(os.Stderr, "  %6s  %s, server has %d MB\n", time.Since(m.began).Round(time.Second), what, now)
	return nil
}

// memory reads a line of what the system says of the server, in MB.
func (m *importing) memory(line string) (int, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", m.pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(status), line)
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0, fmt.Errorf("the system says nothing of %s", line)
	}
	kilobytes, err := strconv.Atoi(fields[0])
	return kilobytes >> 10, err
}
