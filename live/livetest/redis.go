package livetest

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// RedisURL returns the Redis that tests may publish on (TEST_REDIS_URL). It is
// shared with others: use namespaces of your own. Without one the test is
// skipped; in CI it fails.
func RedisURL(t testing.TB) string {
	t.Helper()
	url := os.Getenv("TEST_REDIS_URL")
	if url == "" {
		missing(t, "TEST_REDIS_URL is not set")
	}
	return url
}

// Redis is a server of the test's own, on a loopback port, without persistence.
type Redis struct {
	// Addr is its host:port, the same for its whole life.
	Addr string

	program string
	config  string
	cmd     *exec.Cmd // nil: not running
	log     bytes.Buffer
}

// StartRedis starts a server and ends it with the test. settings are further
// lines of its configuration. Without a redis-server (TEST_REDIS_BIN, or in
// PATH) the test is skipped; in CI it fails.
func StartRedis(t testing.TB, settings ...string) *Redis {
	t.Helper()
	program := os.Getenv("TEST_REDIS_BIN")
	if program == "" {
		var err error
		if program, err = exec.LookPath("redis-server"); err != nil {
			missing(t, "there is no redis-server; install it or name one in TEST_REDIS_BIN")
		}
	}
	addr := freeAddr(t)
	_, port, _ := net.SplitHostPort(addr)
	r := &Redis{Addr: addr, program: program}
	lines := append([]string{"bind 127.0.0.1", "port " + port, `save ""`, "appendonly no", "dir " + t.TempDir()}, settings...)
	r.config = strings.Join(lines, "\n") + "\n"
	t.Cleanup(func() {
		if r.cmd != nil {
			r.Kill()
		}
		if t.Failed() {
			t.Logf("redis-server said last:\n%s", r.log.String())
		}
	})
	r.Start(t)
	return r
}

// URL is what a client connects to.
func (r *Redis) URL() string { return "redis://" + r.Addr }

// Start runs the server, again after Kill, and waits until it answers.
func (r *Redis) Start(t testing.TB) {
	t.Helper()
	r.log.Reset()
	cmd := exec.Command(r.program, "-") //nolint:gosec,noctx // a program of the machine, ended by Kill
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(r.config), &r.log, &r.log
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting %s: %v", r.program, err)
	}
	r.cmd = cmd
	Eventually(t, "redis-server on "+r.Addr, r.answers)
}

// answers reports whether the server takes commands: it says something to
// PING, if only that a password is needed.
func (r *Redis) answers() bool {
	c, err := net.DialTimeout("tcp", r.Addr, time.Second)
	if err != nil {
		return false
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Second))
	if _, err := c.Write([]byte("PING\r\n")); err != nil {
		return false
	}
	n, err := c.Read(make([]byte, 1))
	return n == 1 && err == nil
}

// Kill ends the server at once, as a crash would.
func (r *Redis) Kill() {
	_ = r.cmd.Process.Kill()
	_ = r.cmd.Wait()
	r.cmd = nil
}

// Pause stops the server without closing its connections, as a network that
// swallows everything would.
func (r *Redis) Pause(t testing.TB) { t.Helper(); r.signal(t, syscall.SIGSTOP) }

// Resume lets a paused server go on.
func (r *Redis) Resume(t testing.TB) { t.Helper(); r.signal(t, syscall.SIGCONT) }

func (r *Redis) signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := r.cmd.Process.Signal(s); err != nil {
		t.Fatalf("signalling redis-server: %v", err)
	}
}

func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it is closed at once
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(what)
	}
	t.Skip(what)
}
