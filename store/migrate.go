package store

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/stdlib"

	"carillon/migrations"
)

// migration is one numbered step of the schema.
type migration struct {
	version  int64
	name     string
	up, down string
}

// migrationLock is the key of the PostgreSQL advisory lock held while
// migrating; the letters of "carillon".
const migrationLock = 0x636172696c6c6f6e

// Migrate brings the schema up to date. Each step runs in one transaction
// together with the note that it ran, so a process killed at any moment leaves
// the next one nothing to mend; processes that migrate at the same moment wait
// for each other.
func (s *Store) Migrate(ctx context.Context) error {
	if err := s.migrate(ctx, func(all []migration, done map[int64]bool) (steps []step, err error) {
		for v := range done {
			if !slices.ContainsFunc(all, func(m migration) bool { return m.version == v }) {
				return nil, fmt.Errorf("the database has migration %04d, which this program does not know: it was migrated by a newer version; start that one", v)
			}
		}
		for _, m := range all {
			if !done[m.version] {
				steps = append(steps, step{m.up, fmt.Sprintf("insert into schema_migrations (version, name, applied_at) values (%d, '%s', %d)", m.version, m.name, micros(s.now()))})
			}
		}
		return steps, nil
	}); err != nil {
		return fmt.Errorf("migrating: %w", err)
	}
	return s.loadEpoch(ctx)
}

// MigrateDown takes back every step above version, newest first, with all
// their data. It is for developers.
func (s *Store) MigrateDown(ctx context.Context, version int64) error {
	err := s.migrate(ctx, func(all []migration, done map[int64]bool) (steps []step, err error) {
		for _, m := range slices.Backward(all) {
			if done[m.version] && m.version > version {
				steps = append(steps, step{m.down, fmt.Sprintf("delete from schema_migrations where version = %d", m.version)})
			}
		}
		return steps, nil
	})
	if err != nil {
		return fmt.Errorf("migrating down: %w", err)
	}
	return nil
}

// step is the SQL of a migration and of the note about it.
type step struct{ sql, note string }

const createMigrations = `create table if not exists schema_migrations (version bigint primary key, name text not null, applied_at bigint not null)`

func (s *Store) migrate(ctx context.Context, plan func(all []migration, done map[int64]bool) ([]step, error)) error {
	all, err := readMigrations(s.dialect.name)
	if err != nil {
		return err
	}
	conn, err := s.w.DB.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	run := execScript(conn)
	if s.dialect.name == postgresDialect.name {
		if err := run(ctx, fmt.Sprintf("set lock_timeout = 0; set statement_timeout = 0; select pg_advisory_lock(%d)", int64(migrationLock))); err != nil {
			return fmt.Errorf("waiting for another migration: %w", err)
		}
		// Ending the session frees the lock whatever happens; this frees it
		// for the pool's next user, and gives back the time limits.
		defer func() {
			_ = run(context.WithoutCancel(ctx), fmt.Sprintf("select pg_advisory_unlock(%d); reset lock_timeout; reset statement_timeout", int64(migrationLock)))
		}()
	}
	return s.migrateLocked(ctx, conn, run, all, plan)
}

func (s *Store) migrateLocked(ctx context.Context, conn *sql.Conn, run func(context.Context, string) error, all []migration, plan func([]migration, map[int64]bool) ([]step, error)) error {
	begin := "begin"
	if s.dialect.name == sqliteDialect.name {
		begin = "begin immediate" // the write lock is SQLite's migration lock
	}
	for {
		// One transaction a step: look what is done, do the next one, note it.
		if err := run(ctx, begin); err != nil {
			return err
		}
		more, err := s.migrateOne(ctx, conn, run, all, plan)
		if err != nil {
			_ = run(context.WithoutCancel(ctx), "rollback")
			return err
		}
		if err := run(ctx, "commit"); err != nil {
			return err
		}
		if !more {
			return nil
		}
	}
}

func (s *Store) migrateOne(ctx context.Context, conn *sql.Conn, run func(context.Context, string) error, all []migration, plan func([]migration, map[int64]bool) ([]step, error)) (more bool, err error) {
	if err := run(ctx, createMigrations); err != nil {
		return false, err
	}
	done, err := appliedMigrations(ctx, conn)
	if err != nil {
		return false, err
	}
	steps, err := plan(all, done)
	if err != nil || len(steps) == 0 {
		return false, err
	}
	if err := run(ctx, steps[0].sql); err != nil {
		return false, err
	}
	return len(steps) > 1, run(ctx, steps[0].note)
}

// execScript returns a function that runs several statements at once on conn.
// database/sql cannot do that on PostgreSQL, whose driver is asked directly.
func execScript(conn *sql.Conn) func(ctx context.Context, script string) error {
	return func(ctx context.Context, script string) error {
		postgres := false
		err := conn.Raw(func(dc any) error {
			var pg *stdlib.Conn
			if pg, postgres = dc.(*stdlib.Conn); !postgres {
				return nil
			}
			_, err := pg.Conn().PgConn().Exec(ctx, script).ReadAll()
			return err
		})
		if !postgres && err == nil {
			_, err = conn.ExecContext(ctx, script)
		}
		return err
	}
}

func appliedMigrations(ctx context.Context, conn *sql.Conn) (map[int64]bool, error) {
	rows, err := conn.QueryContext(ctx, "select version from schema_migrations")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	done := map[int64]bool{}
	for rows.Next() {
		var v int64
		if err := rows.Scan(&v); err != nil {
			return nil, err
		}
		done[v] = true
	}
	return done, rows.Err()
}

// readMigrations reads a dialect's files, NNNN_name.up.sql and .down.sql.
func readMigrations(folder string) ([]migration, error) {
	files, err := fs.Glob(migrations.Files, folder+"/*.up.sql")
	if err != nil {
		return nil, err
	}
	out := make([]migration, 0, len(files))
	for _, f := range files {
		name := strings.TrimSuffix(path.Base(f), ".up.sql")
		number, _, _ := strings.Cut(name, "_")
		m := migration{name: name}
		if m.version, err = strconv.ParseInt(number, 10, 64); err != nil {
			return nil, fmt.Errorf("migration %s does not begin with its number", f)
		}
		up, err := fs.ReadFile(migrations.Files, f)
		if err != nil {
			return nil, err
		}
		down, err := fs.ReadFile(migrations.Files, path.Join(folder, name+".down.sql"))
		if err != nil {
			return nil, err
		}
		m.up, m.down = string(up), string(down)
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b migration) int { return cmp.Compare(a.version, b.version) })
	return out, nil
}
