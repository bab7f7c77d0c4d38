package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// embedded runs the real program on SQLite in a folder of its own.
type embedded struct {
	url  string
	dir  string
	env  []string
	stop context.CancelFunc
	done chan int // the exit status
	out  *buffer
}

// buffer is a bytes.Buffer for two goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func startEmbedded(t *testing.T, settings ...string) *embedded {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	e := &embedded{url: "http://" + addr, dir: filepath.Join(t.TempDir(), "data"), done: make(chan int, 1), out: new(buffer)}
	e.env = append([]string{"ADDR=" + addr, "METRICS_ADDR=off", "DATA_DIR=" + e.dir}, settings...)
	ctx, stop := context.WithCancel(t.Context())
	e.stop = stop
	go func() { e.done <- run(ctx, nil, e.env, e.out, e.out) }()
	eventually(t, "the server to be ready", func() bool {
		res, err := http.Get(e.url + "/readyz")
		if err != nil {
			return false
		}
		res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
	t.Cleanup(func() {
		stop()
		<-e.done
	})
	return e
}

// eventually waits until ok is true, for a minute at most: what is tried again may have just missed a turn.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); <-tick.C {
		if ok() {
			return
		}
	}
	t.Fatalf("waited a minute for %s", what)
}

// cli runs one command beside the server and returns its exit status.
func (e *embedded) cli(t *testing.T, args ...string) (status int, out, errs string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	status = run(t.Context(), args, e.env, &stdout, &stderr)
	return status, stdout.String(), stderr.String()
}

func (e *embedded) query(t *testing.T, credential, query string) map[string]any {
	t.Helper()
	return e.ask(t, credential, query, nil)
}

func (e *embedded) ask(t *testing.T, credential, query string, variables map[string]any) map[string]any {
	t.Helper()
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, e.url+"/graphql", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+credential)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var answer struct {
		Data   map[string]any
		Errors []any
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || len(answer.Errors) > 0 {
		t.Fatalf("answer %s: %v, %v", res.Status, answer.Errors, err)
	}
	return answer.Data
}

// TestFirstStart is a newcomer's first minute: the demo's keys, a send, the
// inbox, and the same data after a restart.
func TestFirstStart(t *testing.T) {
	t.Parallel()
	e := startEmbedded(t)
	file := filepath.Join(e.dir, "demo.env")
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%s: %v, mode %v; want it readable by its owner alone", file, err, info.Mode())
	}
	keys, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	secret := ""
	for line := range strings.Lines(string(keys)) {
		if v, ok := strings.CutPrefix(line, "CARILLON_SECRET_KEY="); ok {
			secret = strings.TrimSpace(v)
		}
	}
	if !strings.Contains(e.out.String(), ". "+file) || !strings.Contains(string(keys), "CARILLON_URL="+e.url) {
		t.Errorf("the first start printed\n%s\nand wrote\n%s", e.out, keys)
	}
	e.query(t, secret, `mutation { identifyUser(input: {identifier: "ada"}) { created } }`)
	e.query(t, secret, `mutation { sendNotification(input: {to: {users: ["ada"]}, title: "Hello"}) { send { id } } }`)
	got := fmt.Sprint(e.query(t, secret, `{ user(identifier: "ada") { inbox { counters { unread } nodes { title } } } }`))
	if !strings.Contains(got, "title:Hello") || !strings.Contains(got, "unread:1") {
		t.Errorf("the inbox is %s", got)
	}
}

func TestCommandLineWorksBesideAServer(t *testing.T) {
	t.Parallel()
	e := startEmbedded(t, "DEMO=false")
	status, out, errs := e.cli(t, "app", "create", "--name", "shop", "--environment", "live", "--user-auth", "token", "--json")
	var made environmentJSON
	if err := json.Unmarshal([]byte(out), &made); status != 0 || err != nil {
		t.Fatalf("app create: status %d, %v\n%s%s", status, err, out, errs)
	}
	if made.SecretKey == "" || made.APIKey == "" || made.APISecret == "" || made.SigningSecret == "" || made.ID == 0 {
		t.Errorf("app create printed %s, want every key", out)
	}
	e.query(t, made.SecretKey, `mutation { identifyUser(input: {identifier: "ada"}) { created } }`)
	_, token, _ := e.cli(t, "token", "--app", "shop", "--environment", "live", "--user", "ada")
	if got := fmt.Sprint(e.query(t, strings.TrimSpace(token), `{ viewer { user { identifier } } }`)); !strings.Contains(got, "ada") {
		t.Errorf("the token speaks for %s", got)
	}
	if _, list, _ := e.cli(t, "app", "list", "--json"); !strings.Contains(list, made.APIKey) || strings.Contains(list, made.SecretKey) {
		t.Errorf("app list printed %s, want the public key and no secret", list)
	}
	if status, out, errs := e.cli(t, "verify-counters"); status != 0 || !strings.Contains(out, "0 drifted") {
		t.Errorf("verify-counters: status %d\n%s%s", status, out, errs)
	}

	for _, tt := range []struct {
		name   string
		args   []string
		status int
		says   string
	}{
		{"SameEnvironmentAgain", []string{"app", "create", "--name", "shop", "--environment", "live"}, 1, "already"},
		{"NoSuchKind", []string{"app", "create", "--name", "shop", "--environment", "prod"}, 1, "--environment must be"},
		{"NoSuchUserAuth", []string{"app", "create", "--name", "shop", "--environment", "test", "--user-auth", "none"}, 1, "--user-auth must be"},
		{"NoName", []string{"app", "create", "--environment", "test"}, 2, "--name is required"},
		{"NoUser", []string{"token", "--app", "shop"}, 2, "--user is required"},
		{"UnknownApp", []string{"token", "--app", "nope", "--user", "ada"}, 1, `no app "nope" has a "test" environment`},
		{"TokenForTooLong", []string{"token", "--app", "shop", "--environment", "live", "--user", "ada", "--ttl", "25h"}, 2, "--ttl must be"},
		{"Help", []string{"--help"}, 0, "usage"},
		{"HelpOfACommand", []string{"token", "-h"}, 0, "-ttl"},
		{"UnknownCommand", []string{"dance"}, 2, `"dance" is no command`},
		{"UnknownFlag", []string{"version", "--loud"}, 2, "loud"},
		{"WrongRole", []string{"--role=cook"}, 2, "cook"},
		{"SecondServer", []string{"serve"}, 1, "another server"},
	} {
		status, out, errs := e.cli(t, tt.args...)
		if status != tt.status || !strings.Contains(out+errs, tt.says) {
			t.Errorf("%s: status %d with %q, want %d with %q", tt.name, status, out+errs, tt.status, tt.says)
		}
	}
}

func TestStartRefusesClearly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	good := filepath.Join(dir, "good")
	if status := run(t.Context(), []string{"migrate"}, []string{"DATA_DIR=" + good}, io.Discard, io.Discard); status != 0 {
		t.Fatalf("migrate: status %d", status)
	}
	for _, tt := range []struct {
		name string
		env  []string
		says string
	}{
		{"NoPostgres", []string{"DATA_DIR=" + dir, "DATABASE_URL=postgres://nobody@127.0.0.1:1/none"}, "DATABASE_URL"},
		{"ManyMistakes", []string{"DATA_DIR=" + dir, "ADDR=x", "ROLE=cook"}, "2 mistake(s)"},
		{"WrongMasterKey", []string{"DATA_DIR=" + good, "MASTER_KEY=" + strings.Repeat("00", 32)}, "master key"},
		{"PortTaken", []string{"DATA_DIR=" + filepath.Join(dir, "x"), "ADDR=" + taken(t), "METRICS_ADDR=off"}, "ADDR"},
	} {
		var out bytes.Buffer
		if status := run(t.Context(), nil, tt.env, &out, &out); status != 1 || !strings.Contains(out.String(), tt.says) {
			t.Errorf("%s: status %d with %q, want 1 with %q", tt.name, status, out.String(), tt.says)
		}
	}
}

// taken is an address that somebody listens on until the test ends.
func taken(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

// TestShutdownDoesNotWaitForSilentConnections: browsers connect ahead of need.
func TestShutdownDoesNotWaitForSilentConnections(t *testing.T) {
	t.Parallel()
	e := startEmbedded(t)
	c, err := net.Dial("tcp", strings.TrimPrefix(e.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	began := time.Now()
	e.stop()
	status := <-e.done
	e.done <- status
	if took := time.Since(began); status != 0 || took > 3*time.Second {
		t.Errorf("the server ended with %d after %s, want 0 well before the five seconds that net/http waits", status, took)
	}
}
