package lab

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Postgres is a PostgreSQL server of our own, with its durability settings as
// they come.
type Postgres struct {
	*Process
	URL  string
	dir  string
	port string
	as   *syscall.Credential // nil: as ourselves
	bin  string
}

// NewPostgres makes a cluster in dir and starts it. PostgreSQL refuses to run
// as root; root runs it as the user postgres.
func NewPostgres(ctx context.Context, dir string) (*Postgres, error) {
	p := &Postgres{dir: dir}
	var err error
	if p.bin, err = PostgresBin(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if os.Geteuid() == 0 {
		if p.as, err = credential("postgres"); err != nil {
			return nil, err
		}
		if err := giveTo(dir, p.as); err != nil {
			return nil, err
		}
	}
	initdb := p.command(ctx, "initdb", "-D", filepath.Join(dir, "data"), "-U", "postgres", "--auth=trust", "--no-instructions")
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w\n%s", err, out)
	}
	addr, err := FreeAddr()
	if err != nil {
		return nil, err
	}
	_, p.port, _ = net.SplitHostPort(addr)
	p.URL = fmt.Sprintf("postgres://postgres@127.0.0.1:%s/postgres?sslmode=disable", p.port)
	return p, p.Start(ctx)
}

// giveTo makes dir, and the folders of ours above it, usable for another user.
func giveTo(dir string, as *syscall.Credential) error {
	for up := filepath.Dir(dir); len(up) > len(os.TempDir()); up = filepath.Dir(up) {
		if err := os.Chmod(up, 0o711); err != nil { //nolint:gosec // passable, not readable
			return err
		}
	}
	return os.Chown(dir, int(as.Uid), int(as.Gid))
}

func (p *Postgres) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(p.bin, program), args...)
	cmd.Dir = p.dir
	if p.as != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.as}
	}
	return cmd
}

// Start runs the server, also after it was killed, and waits until it answers.
func (p *Postgres) Start(ctx context.Context) error {
	cmd := p.command(context.WithoutCancel(ctx), "postgres", "-D", filepath.Join(p.dir, "data"), "-p", p.port, "-h", "127.0.0.1", "-k", p.dir, "-c", "max_connections=100")
	p.Process = &Process{name: "postgres", cmd: cmd, log: new(tail), done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.log, p.log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting postgres: %w", err)
	}
	proc := p.Process
	go func() {
		_ = cmd.Wait()
		close(proc.done)
	}()
	err := Poll(ctx, 30*time.Second, func() error {
		select {
		case <-proc.done:
			return StopPolling{errors.New("it ended")}
		default:
			return p.command(ctx, "pg_isready", "-q", "-h", "127.0.0.1", "-p", p.port).Run()
		}
	})
	if err != nil {
		return fmt.Errorf("waiting for postgres: %w\n%s", err, p.log)
	}
	return nil
}

// Restart starts the server after it was killed. Workers that outlive it for a
// moment keep a new one from starting; it waits for them.
func (p *Postgres) Restart(ctx context.Context) error {
	return Poll(ctx, 30*time.Second, func() error { return p.Start(ctx) })
}

// Addr is where the server listens.
func (p *Postgres) Addr() string { return "127.0.0.1:" + p.port }

// URLVia is the server's URL for whoever reaches it at another address.
func (p *Postgres) URLVia(addr string) string { return strings.Replace(p.URL, p.Addr(), addr, 1) }

// CreateDatabase makes an empty database and returns its URL.
func (p *Postgres) CreateDatabase(ctx context.Context, name string) (url string, err error) {
	cmd := p.command(ctx, "createdb", "-h", "127.0.0.1", "-p", p.port, "-U", "postgres", name)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("createdb: %w\n%s", err, out)
	}
	return strings.Replace(p.URL, "/postgres?", "/"+name+"?", 1), nil
}

// session is an operator's session, which may write whatever the server's
// defaults are.
func (p *Postgres) session(ctx context.Context) *exec.Cmd {
	return p.command(ctx, "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", p.port, "-U", "postgres", "postgres")
}

// SQL runs statements in an operator's session.
func (p *Postgres) SQL(ctx context.Context, statements ...string) error {
	cmd := p.session(ctx)
	cmd.Stdin = strings.NewReader("set default_transaction_read_only = off;\n" + strings.Join(statements, ";\n") + ";\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("psql: %w\n%s", err, out)
	}
	return nil
}

// Lock locks tables against everyone until release is called.
func (p *Postgres) Lock(ctx context.Context, tables string) (release func() error, err error) {
	cmd := p.session(ctx)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	release = func() error { return errors.Join(in.Close(), cmd.Wait()) } // it rolls back
	if _, err := fmt.Fprintf(in, "begin; lock table %s;\n\\echo locked\n", tables); err != nil {
		return nil, errors.Join(err, release())
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		return nil, errors.Join(fmt.Errorf("locking: %w", err), release())
	}
	return release, nil
}

// Dump writes a dump of a database to a file.
func (p *Postgres) Dump(ctx context.Context, database, file string) error {
	out, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	cmd := p.command(ctx, "pg_dump", "-h", "127.0.0.1", "-p", p.port, "-U", "postgres", "--format=custom", database)
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = out, &stderr
	if err := errors.Join(cmd.Run(), out.Close()); err != nil {
		return fmt.Errorf("pg_dump: %w\n%s", err, stderr.String())
	}
	return nil
}

// RestoreDump restores a dump into an empty database.
func (p *Postgres) RestoreDump(ctx context.Context, database, file string) error {
	in, err := os.Open(file)
	if err != nil {
		return err
	}
	defer in.Close()
	cmd := p.command(ctx, "pg_restore", "-h", "127.0.0.1", "-p", p.port, "-U", "postgres", "--exit-on-error", "--no-owner", "--dbname="+database)
	cmd.Stdin = in
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("pg_restore: %w\n%s", err, out)
	}
	return nil
}

// Schema is the schema of a database as text.
func (p *Postgres) Schema(ctx context.Context, database string) (string, error) {
	out, err := p.command(ctx, "pg_dump", "-h", "127.0.0.1", "-p", p.port, "-U", "postgres", "--schema-only", database).Output()
	if err != nil {
		return "", fmt.Errorf("pg_dump: %w", err)
	}
	var b strings.Builder
	for line := range strings.Lines(string(out)) {
		if !strings.HasPrefix(line, "\\") { // \restrict, with a key that is never the same
			b.WriteString(line)
		}
	}
	return b.String(), nil
}

// Keep has what is made from now on kept in dir, which must be empty.
func (p *Postgres) Keep(ctx context.Context, dir string) error {
	if p.as != nil {
		if err := giveTo(dir, p.as); err != nil {
			return err
		}
	}
	return p.SQL(ctx, fmt.Sprintf("create tablespace elsewhere location '%s'", dir), "alter database postgres set default_tablespace = elsewhere")
}

// KeepLog stops the server, moves its write-ahead log to dir, which must be empty,
// and starts it again.
func (p *Postgres) KeepLog(ctx context.Context, dir string) error {
	if p.as != nil {
		if err := giveTo(dir, p.as); err != nil {
			return err
		}
	}
	if err := p.Stop(); err != nil {
		return err
	}
	from := filepath.Join(p.dir, "data", "pg_wal")
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		return fmt.Errorf("copying the write-ahead log: %w", err)
	}
	if err := errors.Join(p.own(dir), os.RemoveAll(from), os.Symlink(dir, from)); err != nil {
		return err
	}
	return p.Restart(ctx)
}

// own gives the server what is in dir.
func (p *Postgres) own(dir string) error {
	if p.as == nil {
		return nil
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	return fs.WalkDir(root.FS(), ".", func(path string, _ os.DirEntry, err error) error {
		return errors.Join(err, root.Chown(path, int(p.as.Uid), int(p.as.Gid)))
	})
}

// Crash ends the server and all its workers at once, without any last words.
func (p *Postgres) Crash() error {
	if err := p.Signal(syscall.SIGQUIT); err != nil {
		return err
	}
	<-p.done
	return nil
}

// Stop shuts the server down as its operator would, without waiting for those
// who are connected.
func (p *Postgres) Stop() error {
	if err := p.Signal(syscall.SIGINT); err != nil {
		return err
	}
	<-p.done
	return nil
}

// Close ends the server if it runs.
func (p *Postgres) Close() error {
	if p.Process == nil {
		return nil
	}
	select {
	case <-p.done:
		return nil
	default:
	}
	return errors.Join(p.Resume(), p.Crash())
}

// Pause stops the server and all its workers where they are, as when a machine
// is suspended: connections stay open and nothing answers.
func (p *Postgres) Pause() error { return p.signalAll(syscall.SIGSTOP) }

// Resume lets them go on.
func (p *Postgres) Resume() error { return p.signalAll(syscall.SIGCONT) }

// signalAll signals the server, which then starts no more workers, and those
// that it has.
func (p *Postgres) signalAll(s syscall.Signal) error {
	if err := p.Signal(s); err != nil {
		return err
	}
	workers, err := childrenOf(p.PID())
	if err != nil {
		return err
	}
	for _, pid := range workers {
		if err := syscall.Kill(pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("signalling a worker of postgres: %w", err)
		}
	}
	return nil
}

// childrenOf reads the processes whose parent is pid from /proc.
func childrenOf(pid int) (list []int, err error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	for _, path := range stats {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // it ended meanwhile
		}
		// pid (name) state parent …, where the name may hold anything.
		rest := b[bytes.LastIndexByte(b, ')')+1:]
		if fields := bytes.Fields(rest); len(fields) > 1 && string(fields[1]) == strconv.Itoa(pid) {
			child, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			if err != nil {
				return nil, err
			}
			list = append(list, child)
		}
	}
	return list, nil
}

// PostgresBin is the folder of the PostgreSQL programs.
func PostgresBin() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		if resolved, err := filepath.EvalSymlinks(path); err == nil {
			return filepath.Dir(resolved), nil
		}
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		return "", errors.New("no PostgreSQL server programs: install the package postgresql")
	}
	return filepath.Dir(slices.Max(found)), nil
}

func credential(name string) (*syscall.Credential, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// Redis is a Redis server of our own that keeps nothing on disk.
type Redis struct {
	*Process
	URL  string
	port string
}

// NewRedis starts a server.
func NewRedis(ctx context.Context) (*Redis, error) {
	addr, err := FreeAddr()
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(addr)
	r := &Redis{URL: "redis://" + addr, port: port}
	return r, r.Start(ctx)
}

// Addr is where the server listens.
func (r *Redis) Addr() string { return "127.0.0.1:" + r.port }

// Do runs one command, such as "FLUSHALL", and returns an error that the server
// answers with.
func (r *Redis) Do(ctx context.Context, words ...string) error {
	conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", "127.0.0.1:"+r.port)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	command := fmt.Sprintf("*%d\r\n", len(words))
	for _, w := range words {
		command += fmt.Sprintf("$%d\r\n%s\r\n", len(w), w)
	}
	if _, err := conn.Write([]byte(command)); err != nil {
		return err
	}
	answer, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return err
	}
	if answer[0] == '-' {
		return fmt.Errorf("redis answers %s to %s", strings.TrimSpace(answer), words[0])
	}
	return nil
}

// Start runs the server, also after it was killed.
func (r *Redis) Start(ctx context.Context) (err error) {
	r.Process, err = Start("redis", os.Environ(), "redis-server", "--port", r.port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
	if err != nil {
		return err
	}
	return Poll(ctx, 10*time.Second, func() error {
		c, err := net.DialTimeout("tcp", "127.0.0.1:"+r.port, time.Second)
		if err != nil {
			return err
		}
		return c.Close()
	})
}
