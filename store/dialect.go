package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/uptrace/bun/dialect/pgdialect"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	"github.com/uptrace/bun/schema"
	sqlite "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// dialect is every way in which the two databases differ for us. It is a
// short list on purpose; a new field needs a test that fails without it.
type dialect struct {
	name        string // also the folder under migrations/
	bun         func() schema.Dialect
	open        func(Config, *generation) (writer, reader *sql.DB, err error)
	nextIDs     string           // gives the first id of a block of idBlock
	skipIDs     string           // leaves out idsSkipped ids
	identities  []string         // tell these tables from a copy of them; the first that the database understands
	forUpdate   string           // what locks the rows of a select; empty where a writer is alone
	forChange   string           // the same for a change that leaves the keys, so that new rows may refer to these meanwhile
	forKeep     string           // what keeps the rows from being deleted: the lock that a foreign key takes
	skipLocked  string           // the same, leaving out rows that others hold
	arrays      bool             // takes lists as parameters and changes data in WITH, so that a save is one statement
	clock       string           // the database's own time in microseconds; empty where the process's will do
	position    string           // the function that finds a text in another
	lockText    string           // locks a text, given with its environment, until the transaction ends; empty where a writer is alone
	bytewise    string           // makes a text compare byte by byte; empty where it does anyway
	searched    []searched       // what a search of users asks for the beginning of
	document    string           // is true of a profile that holds a document, found by an index; empty where there is none
	contains    string           // is true of a text that holds another
	isUnique    func(error) bool // a unique index said no
	isForeign   func(error) bool // a foreign key said no
	isKeyTaken  func(error) bool // it gave up waiting for another transaction with the same idempotency key
	isAway      func(error) bool // the database cannot be reached, or gave up waiting
	isStale     func(error) bool // other connections may be as useless as the one that this comes from
	isRetryable func(error) bool // the transaction lost to another and may win the next time
	isUnsure    func(error) bool // the transaction may have been committed all the same
}

var postgresDialect = dialect{
	name:    "postgres",
	bun:     func() schema.Dialect { return pgdialect.New() },
	open:    openPostgres,
	nextIDs: "select nextval('ids')",
	skipIDs: fmt.Sprintf("select setval('ids', nextval('ids') + %d)", idsSkipped),
	identities: []string{
		"select system_identifier::text || '/' || 'facts'::regclass::oid::text from pg_control_system()",
		"select 'facts'::regclass::oid::text",
	},
	forUpdate:  " for update",
	forChange:  " for no key update",
	forKeep:    " for key share",
	skipLocked: " for update skip locked",
	arrays:     true,
	clock:      "(extract(epoch from clock_timestamp()) * 1000000)::bigint",
	position:   "strpos",
	lockText:   "select pg_advisory_xact_lock(hashtextextended(?, ?))",
	bytewise:   ` collate "C"`,
	searched: []searched{
		{"users", "id", "lower(identifier)"},
		{"profiles", "user_id", `lower(email collate "C")`},
		{"profiles", "user_id", `lower((attributes::json ->> 'firstName') collate "C")`},
		{"profiles", "user_id", `lower((attributes::json ->> 'lastName') collate "C")`},
	},
	document:    "profile_document(env_id, attributes) @> (select ?::jsonb)",
	contains:    "strpos(p.attributes, ?) > 0",
	isUnique:    func(err error) bool { return pgCode(err) == "23505" },
	isForeign:   func(err error) bool { return pgCode(err) == "23503" },
	isKeyTaken:  pgKeyTaken,
	isAway:      pgAway,
	isStale:     pgStale,
	isRetryable: func(err error) bool { c := pgCode(err); return c == "40001" || c == "40P01" },
	isUnsure:    func(err error) bool { return pgCode(err) == "" && pgAway(err) },
}

var sqliteDialect = dialect{
	name:     "sqlite",
	bun:      func() schema.Dialect { return sqlitedialect.New() },
	open:     openSQLite,
	skipIDs:  fmt.Sprintf("update ids set next = next + %d where only = 1", idsSkipped),
	position: "instr",
	nextIDs:  "update ids set next = next + 1000 where only = 1 returning next - 1000",
	searched: []searched{
		{"users", "id", "lower(identifier)"},
		{"profiles", "user_id", "lower(email)"},
		{"profiles", "user_id", "lower(attributes ->> 'firstName')"},
		{"profiles", "user_id", "lower(attributes ->> 'lastName')"},
	},
	contains: "instr(p.attributes, ?) > 0",
	isUnique: func(err error) bool {
		c := sqliteCode(err)
		return c == sqlite3.SQLITE_CONSTRAINT_UNIQUE || c == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY
	},
	isForeign:  func(err error) bool { return sqliteCode(err) == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY },
	isKeyTaken: func(error) bool { return false }, // a writer is alone
	isAway: func(err error) bool {
		c := sqliteCode(err) & 0xff
		return c == sqlite3.SQLITE_BUSY || c == sqlite3.SQLITE_FULL || c == sqlite3.SQLITE_IOERR || c == sqlite3.SQLITE_CANTOPEN || c == sqlite3.SQLITE_READONLY
	},
	isStale:     func(error) bool { return false },
	isRetryable: func(error) bool { return false },
	isUnsure: func(err error) bool {
		c := sqliteCode(err) & 0xff
		return c == sqlite3.SQLITE_FULL || c == sqlite3.SQLITE_IOERR
	},
}

func openPostgres(cfg Config, g *generation) (writer, reader *sql.DB, err error) {
	pc, err := pgx.ParseConfig(cfg.URL)
	if err != nil {
		return nil, nil, err
	}
	// bun writes values into the statement itself, so preparing would prepare
	// every statement anew.
	pc.DefaultQueryExecMode = pgx.QueryExecModeExec
	if pc.ConnectTimeout == 0 {
		pc.ConnectTimeout = 5 * time.Second
	}
	for name, value := range map[string]string{
		"application_name":                    "carillon",
		"timezone":                            "UTC",
		"lock_timeout":                        "5s",
		"statement_timeout":                   "30s",
		"idle_in_transaction_session_timeout": "60s",
		"jit":                                 "off", // compiling takes longer than it saves, and is tried for each look through a large table
	} {
		if _, set := pc.RuntimeParams[name]; !set {
			pc.RuntimeParams[name] = value
		}
	}
	db := stdlib.OpenDB(*pc, stdlib.OptionAfterConnect(g.born), stdlib.OptionShouldPing(g.shouldPing))
	n := cfg.MaxConns
	if n == 0 {
		n = 16
	}
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	db.SetConnMaxIdleTime(5 * time.Minute)
	return db, db, nil
}

// openSQLite opens one writer, whose transactions take the write lock when
// they begin, and a pool of readers that cannot write. synchronous=FULL: what
// was acknowledged survives a power cut. secure_delete: what was deleted is
// overwritten, and not only left for something else to be written there.
func openSQLite(cfg Config, _ *generation) (writer, reader *sql.DB, err error) {
	if err := registerDate(); err != nil {
		return nil, nil, err
	}
	if strings.ContainsAny(cfg.URL, "?#") {
		return nil, nil, errors.New("the path of an SQLite file must not contain ? or #")
	}
	dsn := func(extra url.Values) string {
		q := url.Values{"_pragma": {"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)", "temp_store(MEMORY)", "secure_delete(1)"}}
		for k, v := range extra {
			q[k] = append(q[k], v...)
		}
		return cfg.URL + "?" + q.Encode()
	}
	if writer, err = sql.Open("sqlite", dsn(url.Values{"_txlock": {"immediate"}})); err != nil {
		return nil, nil, err
	}
	writer.SetMaxOpenConns(1)
	writer.SetMaxIdleConns(1)
	if reader, err = sql.Open("sqlite", dsn(url.Values{"_pragma": {"query_only(1)"}})); err != nil {
		return nil, nil, errors.Join(err, writer.Close())
	}
	n := cfg.MaxConns
	if n == 0 {
		n = 4
	}
	reader.SetMaxOpenConns(n)
	reader.SetMaxIdleConns(n)
	return writer, reader, nil
}

func pgCode(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}

// pgKeyTaken: the server says in words what it was doing when the lock timeout
// (55P03) struck: inserting into this table, or its index.
func pgKeyTaken(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && e.Code == "55P03" && strings.Contains(e.Where, `relation "idempotency`)
}

// pgAway: connections that are not made, whatever the server says about it,
// and broken ones, shutdowns and crashes (57P..), too many connections (53...),
// read-only after a failover (25006), lock and statement timeouts (55P03, 57014).
func pgAway(err error) bool {
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	switch c := pgCode(err); {
	case strings.HasPrefix(c, "08"), strings.HasPrefix(c, "53"), strings.HasPrefix(c, "57"), c == "25006", c == "55P03", c == "25P03":
		return true
	case c != "":
		return false
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || pgconn.SafeToRetry(err) ||
		strings.Contains(err.Error(), "conn closed") || strings.Contains(err.Error(), "bad connection")
}

// pgStale: after a failover a connection leads to a server that only reads
// (25006), after a partition it may lead nowhere, and nothing says so.
func pgStale(err error) bool {
	return pgCode(err) == "25006" || errors.Is(err, context.DeadlineExceeded)
}

func sqliteCode(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code()
	}
	return 0
}

// newEpoch is a random number that is never zero.
func newEpoch() uint64 {
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		panic("reading random bytes: " + err.Error()) // crypto/rand promises not to fail
	}
	return binary.BigEndian.Uint64(b[:]) | 1
}
