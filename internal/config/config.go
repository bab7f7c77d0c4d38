// Package config reads the settings of the program from the environment. It
// knows their names, defaults and limits, and nothing of what they are for.
package config

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
)

// Config is every setting there is. The defaults run a whole server on one
// machine with nothing else installed.
//
// A secret NAME may be given as a file instead: NAME_FILE holds its path.
type Config struct {
	Addr        string `env:"ADDR" envDefault:":8080" doc:"where the API listens, with /healthz and /readyz"`
	PublicURL   string `env:"PUBLIC_URL" doc:"where this server is reached from outside, such as https://notify.example.com; with it providers are told where to report to, and mail has links for unsubscribing"`
	MetricsAddr string `env:"METRICS_ADDR" envDefault:"127.0.0.1:9464" doc:"where Prometheus reads /metrics; off to switch it off"`
	DataDir     string `env:"DATA_DIR" envDefault:"data" doc:"folder of the SQLite file, the generated master key and the demo keys"`

	DatabaseURL   Secret `env:"DATABASE_URL" doc:"postgres:// URL, or the path of an SQLite file; empty: carillon.db in DATA_DIR"`
	DatabaseConns int    `env:"DATABASE_CONNS" envDefault:"16" doc:"connections to PostgreSQL at most, 2-500; SQLite has one writer and 4 readers"`
	RedisURL      Secret `env:"REDIS_URL" doc:"redis:// URL; empty keeps live updates within this process"`
	MasterKey     Secret `env:"MASTER_KEY" doc:"32 bytes as hex or base64 that encrypt stored secrets; empty: DATA_DIR/master.key, made at the first start"`

	OutgoingAllow Prefixes `env:"OUTGOING_ALLOW" doc:"prefixes of addresses that are not public and may be called all the same, such as 10.0.0.0/8,127.0.0.1; for mail servers and webhooks of your own network"`

	Role       Roles         `env:"ROLE" envDefault:"all" doc:"what this process does: all, or api and worker by comma"`
	LogLevel   slog.Level    `env:"LOG_LEVEL" envDefault:"INFO" doc:"DEBUG, INFO, WARN or ERROR"`
	Demo       bool          `env:"DEMO" envDefault:"true" doc:"make a demo app at the first start on SQLite"`
	Profiles   bool          `env:"PROFILES" envDefault:"false" doc:"serve Go's profiles under /debug/pprof/ at METRICS_ADDR"`
	Playground *bool         `env:"PLAYGROUND" doc:"serve the playground at /: true or false; empty: with SQLite only"`
	Introspect bool          `env:"INTROSPECTION" envDefault:"true" doc:"let clients ask for the schema"`
	Timeout    time.Duration `env:"REQUEST_TIMEOUT" envDefault:"10s" doc:"longest a request may take, 1s-5m"`
	DrainDelay time.Duration `env:"DRAIN_DELAY" envDefault:"0s" doc:"on SIGTERM, how long to go on serving while /readyz says no, 0s-1m; give a load balancer time"`
	Grace      time.Duration `env:"SHUTDOWN_GRACE" envDefault:"25s" doc:"on SIGTERM, how long requests in flight may take, 1s-10m"`

	Lease time.Duration `env:"DELIVERY_LEASE" envDefault:"1m" doc:"how long a delivery, or the event of a webhook endpoint, belongs to the process that took it, 2s-10m: what one held that died is tried again after that; an attempt gets three quarters of it at most"`

	Retention  time.Duration `env:"RETENTION" envDefault:"0s" doc:"after which time a notification leaves its inbox and the log, at least 1s, such as 2160h for 90 days; 0: never"`
	InboxCap   int           `env:"INBOX_CAP" envDefault:"0" doc:"items, archived ones apart, that an inbox holds; beyond it the oldest go, read ones first; 0: any number"`
	Tombstones time.Duration `env:"TOMBSTONES_KEPT" envDefault:"720h" doc:"how long a client may be away and resume its stream where it was; later it begins anew; at least 1s"`

	WebhooksKept time.Duration `env:"WEBHOOK_EVENTS_KEPT" envDefault:"720h" doc:"how long what webhook endpoints were told is listed and can be replayed, at least 1h; what they have not taken by then is dropped too"`

	MaxTokens           int `env:"MAX_QUERY_TOKENS" envDefault:"2000" doc:"lexical tokens of a GraphQL document"`
	MaxDepth            int `env:"MAX_QUERY_DEPTH" envDefault:"12" doc:"levels of fields in an operation"`
	MaxAliases          int `env:"MAX_QUERY_ALIASES" envDefault:"30" doc:"aliases in an operation"`
	MaxRootFields       int `env:"MAX_ROOT_FIELDS" envDefault:"20" doc:"root fields of a query"`
	MaxMutations        int `env:"MAX_MUTATIONS" envDefault:"10" doc:"root fields of a mutation"`
	MaxDirectives       int `env:"MAX_DIRECTIVES" envDefault:"50" doc:"directives in a document"`
	MaxUserCost         int `env:"MAX_COST_USER" envDefault:"5000" doc:"cost of an operation by a user: objects times list sizes"`
	MaxSecretCost       int `env:"MAX_COST_SECRET" envDefault:"20000" doc:"the same for a secret key; a previewSegment or an exportUser costs 4,000"`
	MaxBody             int `env:"MAX_BODY" envDefault:"1048576" doc:"bytes of a request body"`
	MaxFrame            int `env:"MAX_FRAME" envDefault:"262144" doc:"bytes of a WebSocket message from a client"`
	MaxConnections      int `env:"MAX_CONNECTIONS" envDefault:"20000" doc:"WebSockets and event streams of this process"`
	MaxUserConns        int `env:"MAX_CONNECTIONS_USER" envDefault:"20" doc:"the same of one user"`
	MaxSubscriptions    int `env:"MAX_SUBSCRIPTIONS" envDefault:"100" doc:"subscriptions of one WebSocket"`
	AnswerCache         int `env:"ANSWER_CACHE" envDefault:"67108864" doc:"bytes of answers to the inbox query that are kept to be given again while nothing has changed; 0: none"`
	MaxWrongCredentials int `env:"MAX_WRONG_CREDENTIALS" envDefault:"20" doc:"wrong credentials a minute from one address before it is told to wait; 0: any number"`
	MaxConcurrent       int `env:"MAX_CONCURRENT" envDefault:"64" doc:"operations worked on at once, at most: how many it should be, the server finds out; a few more wait a moment, the rest is told to come back"`
	RateEnvironment     int `env:"RATE_ENVIRONMENT" envDefault:"0" doc:"root fields a second of one environment, with bursts of twice as many; 0: any number"`
	RateUser            int `env:"RATE_USER" envDefault:"5000" doc:"the same of one user"`
	RateAddress         int `env:"RATE_ADDRESS" envDefault:"200" doc:"the same of one address without a credential"`
	MaxQueuedSends      int `env:"MAX_QUEUED_SENDS" envDefault:"1024" doc:"sends that wait for their commit; more are told to come back"`
}

// Secret is a string that prints as dots.
type Secret string

func (Secret) String() string               { return "•••" }
func (Secret) GoString() string             { return "•••" }
func (Secret) MarshalText() ([]byte, error) { return []byte("•••"), nil }

// Prefixes are parts of the address space.
type Prefixes []netip.Prefix

// UnmarshalText reads prefixes and addresses separated by commas.
func (p *Prefixes) UnmarshalText(b []byte) error {
	*p = nil
	for word := range strings.SplitSeq(string(b), ",") {
		word = strings.TrimSpace(word)
		prefix, err := netip.ParsePrefix(word)
		if addr, addrErr := netip.ParseAddr(word); addrErr == nil && addr.Zone() == "" {
			prefix, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		if err != nil || prefix.Addr().Is4In6() {
			return fmt.Errorf("%q is neither a prefix such as 10.0.0.0/8 nor an address", word)
		}
		*p = append(*p, prefix.Masked())
	}
	return nil
}

// Roles says what a process does.
type Roles struct{ API, Worker bool }

// UnmarshalText reads "all", or "api" and "worker" separated by commas.
func (r *Roles) UnmarshalText(b []byte) error {
	*r = Roles{}
	for word := range strings.SplitSeq(string(b), ",") {
		switch strings.TrimSpace(word) {
		case "all":
			r.API, r.Worker = true, true
		case "api":
			r.API = true
		case "worker":
			r.Worker = true
		default:
			return fmt.Errorf("%q is no role: use all, api or worker, or several by comma", word)
		}
	}
	return nil
}

// MarshalText is the inverse of UnmarshalText.
func (r Roles) MarshalText() ([]byte, error) {
	switch r {
	case Roles{API: true}:
		return []byte("api"), nil
	case Roles{Worker: true}:
		return []byte("worker"), nil
	default:
		return []byte("all"), nil
	}
}

// Read takes the settings from an environment ("NAME=value" as os.Environ
// gives them). It returns every mistake at once.
func Read(environ []string) (Config, error) {
	vars, fileErrs := withFiles(env.ToMap(environ), secretNames())
	cfg, err := env.ParseAsWithOptions[Config](env.Options{Environment: vars})
	problems := fileErrs
	var agg env.AggregateError
	if errors.As(err, &agg) {
		for _, e := range agg.Errors {
			problems = append(problems, readable(e))
		}
	} else if err != nil {
		problems = append(problems, err.Error())
	}
	if problems = append(problems, cfg.check()...); len(problems) > 0 {
		return cfg, fmt.Errorf("the settings have %d mistake(s):\n  %s", len(problems), strings.Join(problems, "\n  "))
	}
	return cfg, nil
}

// readable names the setting where the library names the struct's field.
func readable(err error) string {
	var p env.ParseError
	if errors.As(err, &p) {
		if f, ok := reflect.TypeFor[Config]().FieldByName(p.Name); ok {
			return fmt.Sprintf("%s: %v", f.Tag.Get("env"), p.Err)
		}
	}
	return err.Error()
}

func secretNames() (names []string) {
	for f := range fields() {
		if f.Type == reflect.TypeFor[Secret]() {
			names = append(names, f.Tag.Get("env"))
		}
	}
	return names
}

func fields() func(yield func(reflect.StructField) bool) {
	t := reflect.TypeFor[Config]()
	return func(yield func(reflect.StructField) bool) {
		for i := range t.NumField() {
			if !yield(t.Field(i)) {
				return
			}
		}
	}
}

// withFiles fills a secret from the file that NAME_FILE names.
func withFiles(vars map[string]string, names []string) (map[string]string, []string) {
	var problems []string
	for _, name := range names {
		path := vars[name+"_FILE"]
		if path == "" {
			continue
		}
		if vars[name] != "" {
			problems = append(problems, fmt.Sprintf("%s and %s_FILE are both set; keep one", name, name))
			continue
		}
		b, err := os.ReadFile(path)
		if err != nil {
			problems = append(problems, fmt.Sprintf("%s_FILE: %v", name, err))
			continue
		}
		vars[name] = strings.TrimSpace(string(b))
	}
	return vars, problems
}

func (c *Config) check() (problems []string) {
	that := func(ok bool, format string, args ...any) {
		if !ok {
			problems = append(problems, fmt.Sprintf(format, args...))
		}
	}
	within := func(name string, n, low, high int) {
		that(n >= low && n <= high, "%s: must be %d to %d, is %d", name, low, high, n)
	}
	that(validAddr(c.Addr), "ADDR: must be host:port or :port, is %q", c.Addr)
	that(c.MetricsAddr == "off" || validAddr(c.MetricsAddr), "METRICS_ADDR: must be host:port, or off, is %q", c.MetricsAddr)
	that(c.PublicURL == "" || validURL(c.PublicURL), "PUBLIC_URL: must be http:// or https:// and a host, without query or slash at its end, is %q", c.PublicURL)
	that(c.DataDir != "", "DATA_DIR: must not be empty")
	if u := string(c.DatabaseURL); strings.Contains(u, "://") {
		parsed, err := url.Parse(u)
		that(err == nil && slices.Contains([]string{"postgres", "postgresql"}, parsed.Scheme), "DATABASE_URL: must begin with postgres://, or be the path of a file")
	}
	if u := string(c.RedisURL); u != "" {
		parsed, err := url.Parse(u)
		that(err == nil && slices.Contains([]string{"redis", "rediss", "unix"}, parsed.Scheme), "REDIS_URL: must begin with redis://, rediss:// or unix://")
	}
	that(c.MasterKey == "" || validKey(string(c.MasterKey)), "MASTER_KEY: must be 32 bytes as hex (64 digits) or base64 (44 characters)")
	that(c.Timeout >= time.Second && c.Timeout <= 5*time.Minute, "REQUEST_TIMEOUT: must be 1s to 5m, is %s", c.Timeout)
	that(c.DrainDelay >= 0 && c.DrainDelay <= time.Minute, "DRAIN_DELAY: must be 0s to 1m, is %s", c.DrainDelay)
	that(c.Grace >= time.Second && c.Grace <= 10*time.Minute, "SHUTDOWN_GRACE: must be 1s to 10m, is %s", c.Grace)
	that(c.Lease >= 2*time.Second && c.Lease <= 10*time.Minute, "DELIVERY_LEASE: must be 2s to 10m, is %s", c.Lease)
	that(c.Retention == 0 || c.Retention >= time.Second, "RETENTION: must be 0, or at least 1s, is %s", c.Retention)
	that(c.WebhooksKept >= time.Hour, "WEBHOOK_EVENTS_KEPT: must be at least 1h, is %s", c.WebhooksKept)
	that(c.Tombstones >= time.Second, "TOMBSTONES_KEPT: must be at least 1s, is %s", c.Tombstones)
	within("INBOX_CAP", c.InboxCap, 0, 1_000_000_000)
	within("DATABASE_CONNS", c.DatabaseConns, 2, 500)
	within("MAX_QUERY_TOKENS", c.MaxTokens, 100, 100_000)
	within("MAX_QUERY_DEPTH", c.MaxDepth, 3, 100)
	within("MAX_QUERY_ALIASES", c.MaxAliases, 1, 10_000)
	within("MAX_ROOT_FIELDS", c.MaxRootFields, 1, 1000)
	within("MAX_MUTATIONS", c.MaxMutations, 1, 1000)
	within("MAX_DIRECTIVES", c.MaxDirectives, 1, 10_000)
	within("MAX_COST_USER", c.MaxUserCost, 100, 10_000_000)
	within("MAX_COST_SECRET", c.MaxSecretCost, 100, 10_000_000)
	within("MAX_BODY", c.MaxBody, 1<<10, 64<<20)
	within("MAX_FRAME", c.MaxFrame, 1<<10, 16<<20)
	within("MAX_CONNECTIONS", c.MaxConnections, 1, 1_000_000)
	within("MAX_CONNECTIONS_USER", c.MaxUserConns, 1, 10_000)
	within("MAX_SUBSCRIPTIONS", c.MaxSubscriptions, 1, 10_000)
	within("ANSWER_CACHE", c.AnswerCache, 0, 1<<36)
	within("MAX_WRONG_CREDENTIALS", c.MaxWrongCredentials, 0, 1_000_000)
	within("MAX_CONCURRENT", c.MaxConcurrent, 4, 100_000)
	within("RATE_ENVIRONMENT", c.RateEnvironment, 0, 10_000_000)
	within("RATE_USER", c.RateUser, 0, 10_000_000)
	within("RATE_ADDRESS", c.RateAddress, 0, 10_000_000)
	within("MAX_QUEUED_SENDS", c.MaxQueuedSends, 1, 1_000_000)
	return problems
}

func validURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Hostname() != "" && u.User == nil && !strings.ContainsAny(s, "?#<> ") && !strings.HasSuffix(s, "/")
}

func validAddr(s string) bool {
	_, port, err := net.SplitHostPort(s)
	return err == nil && port != ""
}

func validKey(s string) bool {
	if b, err := hex.DecodeString(s); err == nil {
		return len(b) == 32
	}
	b, err := base64.StdEncoding.DecodeString(s)
	return err == nil && len(b) == 32
}

// Database is where the database lies: DatabaseURL, or the file in DataDir.
func (c *Config) Database() string {
	if c.DatabaseURL != "" {
		return string(c.DatabaseURL)
	}
	return filepath.Join(c.DataDir, "carillon.db")
}

// Table lists the settings as a Markdown table for the README.
func Table() string {
	var b strings.Builder
	b.WriteString("| setting | default | meaning |\n| --- | --- | --- |\n")
	for f := range fields() {
		def := f.Tag.Get("envDefault")
		if def != "" {
			def = "`" + def + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", f.Tag.Get("env"), def, f.Tag.Get("doc"))
	}
	return b.String()
}
