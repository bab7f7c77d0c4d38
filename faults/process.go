package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// readyWithin is how long a process may take to answer before the story fails.
// The promise is 2 s; a loaded test machine gets ten times that.
const readyWithin = 20 * time.Second

// process is a program started here; only it is ever signalled.
type process struct {
	name string
	cmd  *exec.Cmd
	log  *tail
	done chan struct{}
}

// tail keeps the last bytes of a log, for the message of a failure.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	const keep = 8 << 10
	t.buf = append(t.buf, b...)
	if n := len(t.buf) - keep; n > 0 {
		t.buf = append(t.buf[:0], t.buf[n:]...)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.buf)
}

func start(name string, env []string, program string, args ...string) (*process, error) {
	cmd := exec.Command(program, args...) //nolint:noctx // it is ended by signals, which is what this program is about
	p := &process{name: name, cmd: cmd, log: new(tail), done: make(chan struct{})}
	cmd.Env, cmd.Stdout, cmd.Stderr = env, p.log, p.log
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	go func() {
		_ = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

func (p *process) signal(s syscall.Signal) error {
	if err := p.cmd.Process.Signal(s); err != nil {
		return fmt.Errorf("signalling %s: %w", p.name, err)
	}
	return nil
}

// kill ends the process as a power cut would and waits until it is gone.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// stop asks the process to end, and returns its exit code.
func (p *process) stop(within time.Duration) (int, error) {
	if err := p.signal(syscall.SIGTERM); err != nil {
		return 0, err
	}
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode(), nil
	case <-time.After(within):
		p.kill()
		return 0, fmt.Errorf("%s did not end within %s:\n%s", p.name, within, p.log)
	}
}

// server is a running Carillon.
type server struct {
	*process
	url string
}

// setup is a place to run servers in: a binary, a data folder, and the
// databases, if any, that belong to it.
type setup struct {
	name   string // "embedded" or "production"
	binary string
	dir    string
	env    []string
	addr   string
	pg     *postgres
	redis  *redis
}

// build compiles the server unless CARILLON_BIN names one.
func build(ctx context.Context, dir string) (string, error) {
	if bin := os.Getenv("CARILLON_BIN"); bin != "" {
		return bin, nil
	}
	bin := filepath.Join(dir, "carillon")
	out, err := exec.CommandContext(ctx, "go", "build", "-o", bin, "carillon").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building the server: %w\n%s", err, out)
	}
	return bin, nil
}

// embedded is a set-up on SQLite alone.
func embedded(binary, dir string) (*setup, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	s := &setup{name: "embedded", binary: binary, dir: dir, addr: addr}
	s.env = s.environ()
	return s, nil
}

// production is a set-up on a PostgreSQL and a Redis of its own.
func production(ctx context.Context, binary, dir string) (*setup, error) {
	s, err := embedded(binary, dir)
	if err != nil {
		return nil, err
	}
	s.name = "production"
	if s.pg, err = newPostgres(ctx, filepath.Join(dir, "pg")); err != nil {
		return nil, err
	}
	if s.redis, err = newRedis(ctx); err != nil {
		return nil, errors.Join(err, s.close())
	}
	s.env = append(s.environ(), "DATABASE_URL="+s.pg.url, "REDIS_URL="+s.redis.url)
	return s, nil
}

func (s *setup) environ() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir, "DATA_DIR=" + filepath.Join(s.dir, "data"), "ADDR=" + s.addr, "METRICS_ADDR=off", "DEMO=false", "LOG_LEVEL=WARN"}
}

func (s *setup) close() error {
	var errs []error
	if s.redis != nil {
		s.redis.kill()
	}
	if s.pg != nil {
		errs = append(errs, s.pg.close())
	}
	return errors.Join(errs...)
}

// serve starts a server on the set-up's address and waits until it is ready;
// it says how long that took.
func (s *setup) serve(ctx context.Context) (*server, time.Duration, error) {
	return s.serveOn(ctx, s.addr)
}

func (s *setup) serveOn(ctx context.Context, addr string) (*server, time.Duration, error) {
	began := time.Now()
	p, err := start("carillon", append(s.env, "ADDR="+addr), s.binary, "serve")
	if err != nil {
		return nil, 0, err
	}
	srv := &server{process: p, url: "http://" + addr}
	err = poll(ctx, readyWithin, func() error {
		select {
		case <-p.done:
			return stopPolling{fmt.Errorf("the server ended:\n%s", p.log)}
		default:
		}
		return ready(ctx, srv.url)
	})
	if err != nil {
		p.kill()
		return nil, 0, fmt.Errorf("waiting for the server: %w\n%s", err, p.log)
	}
	return srv, time.Since(began), nil
}

func ready(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/readyz", nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("/readyz says %s", res.Status)
	}
	return nil
}

// cli runs a command of the operator's command line.
func (s *setup) cli(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, s.binary, args...)
	var stderr bytes.Buffer
	cmd.Env, cmd.Stderr = s.env, &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("carillon %s: %w\n%s%s", strings.Join(args, " "), err, out, stderr.String())
	}
	return string(out), nil
}

// environment is what `app create --json` prints.
type environment struct {
	Environment string `json:"environment"`
	APIKey      string `json:"apiKey"`
	APISecret   string `json:"apiSecret"`
	SecretKey   string `json:"secretKey"`
}

func (s *setup) createApp(ctx context.Context, name, kind string) (environment, error) {
	var env environment
	out, err := s.cli(ctx, "app", "create", "--name", name, "--environment", kind, "--user-auth", "token", "--json")
	if err != nil {
		return env, err
	}
	if err := json.Unmarshal([]byte(out), &env); err != nil {
		return env, fmt.Errorf("reading what app create printed: %w", err)
	}
	return env, nil
}

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it is closed at once
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// stopPolling ends a poll early.
type stopPolling struct{ error }

// poll calls check until it succeeds, for at most the given time.
func poll(ctx context.Context, within time.Duration, check func() error) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return nil
		}
		if _, ok := errors.AsType[stopPolling](err); ok {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}
