package main

import (
	"context"
	"database/sql"
	"strings"

	_ "modernc.org/sqlite" // to read what the server wrote
)

// sqliteSchema reads the schema of an SQLite file, sorted by name.
func sqliteSchema(ctx context.Context, path string) (string, error) {
	db, err := sql.Open("sqlite", path)
	if err != nil {
		return "", err
	}
	defer db.Close()
	rows, err := db.QueryContext(ctx, "select type, name, coalesce(sql, '') from sqlite_master order by type, name")
	if err != nil {
		return "", err
	}
	defer rows.Close()
	var b strings.Builder
	for rows.Next() {
		var kind, name, text string
		if err := rows.Scan(&kind, &name, &text); err != nil {
			return "", err
		}
		b.WriteString(kind + " " + name + ": " + text + "\n")
	}
	return b.String(), rows.Err()
}
