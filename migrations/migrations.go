// Package migrations holds the database schema of both databases as numbered
// SQL files: NNNN_name.up.sql and NNNN_name.down.sql, the same numbers and
// names under postgres/ and sqlite/. It does not run them; package store does,
// each in a transaction of its own together with the note that it ran.
package migrations

import "embed"

// Files has the folders postgres and sqlite.
//
//go:embed postgres/*.sql sqlite/*.sql
var Files embed.FS
