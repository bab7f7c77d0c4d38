package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"carillon/internal/lab"
)

// importUsers measures an import: how fast the file is taken, and how fast its
// rows become users, with what the server's memory came to.
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
	began := time.Now()
	i, err := client.Upload(ctx, lab.ImportFile(p.users))
	if err != nil {
		return err
	}
	uploaded := time.Since(began)
	if err := lab.Poll(ctx, time.Hour, func() error {
		if i, err = client.ImportOf(ctx, i.ID); err == nil && i.Status != "DONE" {
			err = fmt.Errorf("it has come to %+v", i)
		}
		return err
	}); err != nil {
		return err
	}
	took := time.Since(began)
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", srv.PID()))
	if err != nil {
		return err
	}
	_, most, _ := strings.Cut(string(status), "VmHWM:")
	most, _, _ = strings.Cut(most, "\n")
	p.add(result{
		work: fmt.Sprintf("import of %d users", i.Total),
		ours: fmt.Sprintf("%.0f rows/s; upload %.0f rows/s, peak %s", float64(i.Total)/took.Seconds(), float64(i.Total)/uploaded.Seconds(), strings.TrimSpace(most)),
	})
	return nil
}
