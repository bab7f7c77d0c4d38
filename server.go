// Carillon is a self-hosted notification server: see README.md.
//
// This package is the program: it reads the settings, wires the parts and
// starts and stops them. It is the only place that knows every package, and
// holds no rule of its own.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
	_ "time/tzdata" // time zones of users, on machines without a zone database
	"unicode"

	"carillon/internal/config"
	"carillon/model"
)

//go:generate go tool gqlgen generate

// version is set when a release is built.
var version = "dev"

func main() {
	syscall.Umask(0o077) // the database has people's addresses: whatever is made here is for its owner alone
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

// program is one run of the command line.
type program struct {
	environ []string
	stdout  io.Writer
	stderr  io.Writer
	log     *logSink // nil: nothing has been logged
}

// command is one word of the command line; its name may be two words.
type command struct {
	name  string
	about string
	run   func(p *program, ctx context.Context, args []string) error
}

func commands() []command {
	return []command{
		{"serve", "start the server (the default)", (*program).serve},
		{"migrate", "bring the database's schema up to date and stop", (*program).migrate},
		{"app create", "make an environment of an app, with its keys", (*program).appCreate},
		{"app list", "list every environment", (*program).appList},
		{"token", "make a user token, for trying things", (*program).token},
		{"backup", "copy an SQLite database to a file, beside a running server", (*program).backup},
		{"restored", "say that the database was restored from a backup", (*program).restored},
		{"verify-counters", "count every inbox anew and compare", (*program).verifyCounters},
		{"version", "say which version this is", (*program).version},
	}
}

// run does what args say and returns the exit status: 0 done, 1 failed, 2 not
// understood.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	p := &program{environ: environ, stdout: stdout, stderr: stderr}
	if len(args) > 0 && slices.Contains([]string{"help", "-h", "-help", "--help"}, args[0]) {
		fmt.Fprintln(stdout, help())
		return 0
	}
	if len(args) > 0 && slices.Contains([]string{"-version", "--version"}, args[0]) {
		args = []string{"version"}
	}
	cmd, rest, err := find(args)
	if err == nil {
		err = cmd.run(p, ctx, rest)
	}
	if p.log != nil {
		p.log.flush(lastWords)
	}
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.Is(err, flag.ErrHelp):
		return 0
	case errors.As(err, &usage):
		fmt.Fprintln(stderr, "carillon:", err)
		return 2
	default:
		fmt.Fprintln(stderr, "carillon:", byFlag(err))
		return 1
	}
}

// lastWords is how long the end of the process waits for its log to be taken.
const lastWords = time.Second

// usageError says that the command line cannot be understood.
type usageError struct{ error }

func find(args []string) (command, []string, error) {
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		return commands()[0], args, nil
	}
	for _, c := range commands() {
		words := strings.Fields(c.name)
		if len(args) >= len(words) && strings.Join(args[:len(words)], " ") == c.name {
			return c, args[len(words):], nil
		}
	}
	return command{}, nil, usageError{fmt.Errorf("%q is no command\n%s", strings.Join(args, " "), help())}
}

func help() string {
	var b strings.Builder
	b.WriteString("usage: carillon [command] [flags]\n\n")
	for _, c := range commands() {
		fmt.Fprintf(&b, "  %-16s %s\n", c.name, c.about)
	}
	b.WriteString("\nSettings come from the environment; README.md lists them. `carillon COMMAND -h` lists a command's flags.")
	return b.String()
}

// flags makes a flag set that reports its mistakes as usage errors.
func (p *program) flags(name string) *flag.FlagSet {
	fs := flag.NewFlagSet("carillon "+name, flag.ContinueOnError)
	fs.SetOutput(io.Discard) // parse says it once
	return fs
}

// parse reads flags and refuses what is left over, and required ones that are
// not there. Asked for help, it gives it.
func (p *program) parse(fs *flag.FlagSet, args []string, required ...string) error {
	err := fs.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fs.SetOutput(p.stdout)
		fmt.Fprintf(p.stdout, "usage: %s [flags]\n", fs.Name())
		fs.PrintDefaults()
		return err
	}
	if err == nil && fs.NArg() > 0 {
		err = fmt.Errorf("%s does not take %q", fs.Name(), fs.Arg(0))
	}
	for _, name := range required {
		if err == nil && fs.Lookup(name).Value.String() == "" {
			err = fmt.Errorf("--%s is required", name)
		}
	}
	if err != nil {
		return usageError{fmt.Errorf("%w; `%s -h` lists what there is", err, fs.Name())}
	}
	return nil
}

// byFlag says what is wrong with an input in the words of the command line,
// where userAuth is --user-auth.
func byFlag(err error) error {
	var refused *model.Error
	if !errors.As(err, &refused) || len(refused.Problems) == 0 {
		return err
	}
	lines := make([]string, len(refused.Problems))
	for i, p := range refused.Problems {
		var flag strings.Builder
		for _, r := range p.Field() {
			if unicode.IsUpper(r) {
				flag.WriteByte('-')
			}
			flag.WriteRune(unicode.ToLower(r))
		}
		lines[i] = "--" + flag.String() + " " + p.Message
	}
	return errors.New(strings.Join(lines, "; "))
}

// settings reads the configuration and makes the log it asks for.
func (p *program) settings() (config.Config, *slog.Logger, error) {
	cfg, err := config.Read(p.environ)
	p.log = newLogSink(p.stderr)
	return cfg, slog.New(slog.NewJSONHandler(p.log, &slog.HandlerOptions{Level: cfg.LogLevel})), err
}
