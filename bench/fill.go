package main

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// fillWithout has fill fill tables while they have no triggers, and no indexes
// but those of their keys: these come back in the end. With them it takes many
// times as long.
func fillWithout(ctx context.Context, db *pgx.Conn, tables []string, fill func() error, progress func(what string)) error {
	rows, err := db.Query(ctx, `select indexname, indexdef from pg_indexes where tablename = any($1) and schemaname = current_schema()
		and indexname not in (select conname from pg_constraint) order by indexname`, tables)
	if err != nil {
		return err
	}
	indexes, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct{ Name, Definition string }])
	if err != nil {
		return err
	}
	all := func(statements ...string) error {
		for _, statement := range statements {
			if _, err := db.Exec(ctx, statement); err != nil {
				return fmt.Errorf("%s: %w", statement, err)
			}
		}
		return nil
	}
	if err := all("set session_replication_role = replica", "set maintenance_work_mem = '512MB'", "alter system set max_wal_size = '8GB'", "select pg_reload_conf()"); err != nil {
		return err
	}
	for _, i := range indexes {
		if err := all("drop index " + i.Name); err != nil {
			return err
		}
	}
	if err := fill(); err != nil {
		return err
	}
	for _, i := range indexes {
		if err := all(i.Definition); err != nil {
			return err
		}
		progress("with the index " + i.Name)
	}
	return all("set session_replication_role = origin", "vacuum analyze", "checkpoint")
}
