package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"carillon/internal/lab"
)

// startUp measures the time from exec to the first answer of the API, and the
// memory of a server with nothing to do, on both set-ups.
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
		var times, memory []float64
		for i := range 2*p.rounds + 1 {
			took, process, err := firstAnswer(ctx, s)
			if err != nil {
				return err
			}
			if i == 0 { // it migrates
				process.Kill()
				continue
			}
			times = append(times, float64(took.Microseconds())/1000)
			if i <= p.rounds { // to rest takes longer than all else
				bytes, err := p.rests(ctx, &side{name: "ours", Process: process})
				if err != nil {
					return err
				}
				memory = append(memory, bytes/(1<<20))
			}
			process.Kill()
		}
		same := func(v float64) float64 { return v }
		p.add(result{work: "W6 start to first answer, " + s.Name, ours: fmt.Sprintf("%.1f ms", median(times, same))})
		p.add(result{work: "W6 idle memory (RSS), " + s.Name, ours: fmt.Sprintf("%.1f MB", median(memory, same))})
	}
	return nil
}

// firstAnswer starts a server and asks until it answers.
func firstAnswer(ctx context.Context, s *lab.Setup) (time.Duration, *lab.Process, error) {
	ask := []byte("GET /graphql?query=%7B__typename%7D HTTP/1.1\r\nHost: bench\r\nApollo-Require-Preflight: 1\r\nConnection: close\r\n\r\n")
	began := time.Now()
	process, err := s.Launch(s.Addr)
	if err != nil {
		return 0, nil, err
	}
	tick := time.NewTicker(500 * time.Microsecond)
	defer tick.Stop()
	answer := make([]byte, 4096)
	for time.Since(began) < 20*time.Second && ctx.Err() == nil {
		<-tick.C
		conn, err := net.Dial("tcp", s.Addr) //nolint:noctx // loopback answers or refuses
		if err != nil {
			continue
		}
		_, err = conn.Write(ask)
		n := 0
		if err == nil {
			n, err = conn.Read(answer)
		}
		took := time.Since(began)
		conn.Close()
		if err == nil && !strings.HasPrefix(string(answer[:n]), "HTTP/1.1 200 ") {
			err = fmt.Errorf("the first answer is %s", answer[:n])
		}
		if err != nil {
			process.Kill()
			return 0, nil, err
		}
		return took, process, nil
	}
	process.Kill()
	return 0, nil, fmt.Errorf("there was no answer in 20 s: %s", process.Log())
}
