package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// readyWithin is how long a process may take to answer before the story fails.
// The promise is 2 s; a loaded test machine gets ten times that.
const readyWithin = 20 * time.Second

// Process is a program started here; only it is ever signalled.
type Process struct {
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

// Start runs a program and keeps the end of what it prints.
func Start(name string, env []string, program string, args ...string) (*Process, error) {
	return startInto(nil, name, env, program, args...)
}

// startInto is Start for a program whose log goes elsewhere; nil: it does not.
func startInto(log *os.File, name string, env []string, program string, args ...string) (*Process, error) {
	cmd := exec.Command(program, args...) //nolint:noctx // it is ended by signals, which is what this program is about
	p := &Process{name: name, cmd: cmd, log: new(tail), done: make(chan struct{})}
	cmd.Env, cmd.Stdout, cmd.Stderr = env, p.log, p.log
	if log != nil {
		cmd.Stdout, cmd.Stderr = log, log
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	go func() {
		_ = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// Signal sends the process a signal.
func (p *Process) Signal(s syscall.Signal) error {
	if err := p.cmd.Process.Signal(s); err != nil {
		return fmt.Errorf("signalling %s: %w", p.name, err)
	}
	return nil
}

// PID is the process's id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// OpenFiles is how many files the process has open, connections included.
func (p *Process) OpenFiles() (int, error) {
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.PID()))
	return len(list), err
}

// Kill ends the process as a power cut would and waits until it is gone.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// Ended reports whether the process has.
func (p *Process) Ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Log is the end of what the process printed, and how it ended if it did.
func (p *Process) Log() string {
	select {
	case <-p.done:
		return p.log.String() + "\nended: " + p.cmd.ProcessState.String()
	default:
		return p.log.String()
	}
}

// Stop asks the process to end, and returns its exit code.
func (p *Process) Stop(within time.Duration) (int, error) {
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return 0, err
	}
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode(), nil
	case <-time.After(within):
		p.Kill()
		return 0, fmt.Errorf("%s did not end within %s:\n%s", p.name, within, p.log)
	}
}

// Server is a running Carillon.
type Server struct {
	*Process
	URL string
}

// Setup is a place to run servers in: a binary, a data folder, and the
// databases, if any, that belong to it.
type Setup struct {
	Name     string // "embedded" or "production"
	Binary   string
	Dir      string
	Env      []string // of the server and the command line
	Addr     string
	Postgres *Postgres // nil when embedded
	Redis    *Redis
	LogTo    *os.File // where servers print to; nil: what they print last is kept
	Files    int      // that a server may have open, connections included; zero: as many as this process
}

// Build compiles the server unless CARILLON_BIN names one.
func Build(ctx context.Context, dir string) (string, error) {
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

// Embedded is a set-up on SQLite alone.
func Embedded(binary, dir string) (*Setup, error) {
	addr, err := FreeAddr()
	if err != nil {
		return nil, err
	}
	s := &Setup{Name: "embedded", Binary: binary, Dir: dir, Addr: addr}
	s.Env = s.environ()
	return s, nil
}

// Production is a set-up on a PostgreSQL and a Redis of its own.
func Production(ctx context.Context, binary, dir string) (*Setup, error) {
	s, err := Embedded(binary, dir)
	if err != nil {
		return nil, err
	}
	s.Name = "production"
	if s.Postgres, err = NewPostgres(ctx, filepath.Join(dir, "pg")); err != nil {
		return nil, err
	}
	if s.Redis, err = NewRedis(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.Env = append(s.environ(), "DATABASE_URL="+s.Postgres.URL, "REDIS_URL="+s.Redis.URL)
	return s, nil
}

func (s *Setup) environ() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.Dir, "DATA_DIR=" + filepath.Join(s.Dir, "data"), "ADDR=" + s.Addr, "METRICS_ADDR=off", "DEMO=false", "LOG_LEVEL=WARN"}
}

// Close ends the databases of the set-up.
func (s *Setup) Close() error {
	var errs []error
	if s.Redis != nil {
		s.Redis.Kill()
	}
	if s.Postgres != nil {
		errs = append(errs, s.Postgres.Close())
	}
	return errors.Join(errs...)
}

// Serve starts a server on the set-up's address and waits until it is ready;
// it says how long that took.
func (s *Setup) Serve(ctx context.Context) (*Server, time.Duration, error) {
	return s.ServeOn(ctx, s.Addr)
}

// Launch starts a server on an address, with settings that beat the set-up's,
// and does not wait for it.
func (s *Setup) Launch(addr string, settings ...string) (*Process, error) {
	env, command := slices.Concat(s.Env, []string{"ADDR=" + addr}, settings), []string{s.Binary, "serve"}
	if s.Files > 0 { // the shell sets the limit and becomes the server
		command = slices.Concat([]string{"sh", "-c", fmt.Sprintf(`ulimit -n %d && exec "$0" "$@"`, s.Files)}, command)
	}
	return startInto(s.LogTo, "carillon", env, command[0], command[1:]...)
}

// ServeOn is Serve on another address, with settings that beat the set-up's.
func (s *Setup) ServeOn(ctx context.Context, addr string, settings ...string) (*Server, time.Duration, error) {
	began := time.Now()
	p, err := s.Launch(addr, settings...)
	if err != nil {
		return nil, 0, err
	}
	srv := &Server{Process: p, URL: "http://" + addr}
	err = Poll(ctx, readyWithin, func() error {
		select {
		case <-p.done:
			return StopPolling{fmt.Errorf("the server ended:\n%s", p.log)}
		default:
		}
		return Ready(ctx, srv.URL)
	})
	if err != nil {
		p.Kill()
		return nil, 0, fmt.Errorf("waiting for the server: %w\n%s", err, p.log)
	}
	return srv, time.Since(began), nil
}

// Ready asks a server whether it is ready.
func Ready(ctx context.Context, url string) error {
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

// CLI runs a command of the operator's command line.
func (s *Setup) CLI(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, s.Binary, args...)
	var stderr bytes.Buffer
	cmd.Env, cmd.Stderr = s.Env, &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("carillon %s: %w\n%s%s", strings.Join(args, " "), err, out, stderr.String())
	}
	return string(out), nil
}

// Environment is what `app create --json` prints.
type Environment struct {
	Environment string `json:"environment"`
	APIKey      string `json:"apiKey"`
	APISecret   string `json:"apiSecret"`
	SecretKey   string `json:"secretKey"`
	// SigningSecret makes user tokens.
	SigningSecret string `json:"signingSecret"`
}

// CreateApp makes an environment with the command line.
func (s *Setup) CreateApp(ctx context.Context, name, kind string) (Environment, error) {
	return s.CreateAppWith(ctx, name, kind, "token")
}

// CreateAppWith is CreateApp with another way for front ends to act as a user.
func (s *Setup) CreateAppWith(ctx context.Context, name, kind, userAuth string) (Environment, error) {
	var env Environment
	out, err := s.CLI(ctx, "app", "create", "--name", name, "--environment", kind, "--user-auth", userAuth, "--json")
	if err != nil {
		return env, err
	}
	if err := json.Unmarshal([]byte(out), &env); err != nil {
		return env, fmt.Errorf("reading what app create printed: %w", err)
	}
	return env, nil
}

// Token mints a user token with the command line.
func (s *Setup) Token(ctx context.Context, app, kind, user string) (string, error) {
	out, err := s.CLI(ctx, "token", "--app", app, "--environment", kind, "--user", user)
	return strings.TrimSpace(out), err
}

// FreeAddr is an address on loopback that nobody listened on a moment ago. Its
// port is below those that the system gives to outgoing connections: else one
// of the many that try to reach a server while it is down could take its place.
func FreeAddr() (string, error) {
	const lowest, highest = 10_000, 32_000
	var err error
	for range 100 {
		var l net.Listener
		addr := fmt.Sprintf("127.0.0.1:%d", lowest+rand.IntN(highest-lowest))
		if l, err = net.Listen("tcp", addr); err == nil { //nolint:noctx // it is closed at once
			return addr, l.Close()
		}
	}
	return "", err
}

// StopPolling wraps an error that ends a poll early.
type StopPolling struct{ Err error }

func (s StopPolling) Error() string { return s.Err.Error() }

// Unwrap gives the error itself.
func (s StopPolling) Unwrap() error { return s.Err }

// Poll calls check until it succeeds, for at most the given time.
func Poll(ctx context.Context, within time.Duration, check func() error) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return nil
		}
		if _, ok := errors.AsType[StopPolling](err); ok {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}
