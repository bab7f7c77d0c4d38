package store

import (
	"database/sql"
	"time"
)

// micros is how a time is stored: microseconds since 1970, UTC.
func micros(t time.Time) int64 { return t.UnixMicro() }

// nullMicros stores the zero time as null.
func nullMicros(t time.Time) sql.NullInt64 {
	return sql.NullInt64{Int64: t.UnixMicro(), Valid: !t.IsZero()}
}

// at is the inverse of micros.
func at(us int64) time.Time { return time.UnixMicro(us).UTC() }

// nullAt is the inverse of nullMicros.
func nullAt(us sql.NullInt64) time.Time {
	if !us.Valid {
		return time.Time{}
	}
	return at(us.Int64)
}

// nullText stores "" as null.
func nullText(s string) sql.NullString { return sql.NullString{String: s, Valid: s != ""} }
