package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"carillon/model"
)

// Backup writes a copy of an SQLite database, as of one moment, to a file that
// must not be there yet; servers go on meanwhile. The copy knows that it is
// one: whoever opens it to work on it gets a new epoch. A PostgreSQL database
// has tools of its own, and gives a KindInvalid error.
func (s *Store) Backup(ctx context.Context, path string) error {
	if s.dialect.name != sqliteDialect.name {
		return model.Errorf(model.KindInvalid, "a PostgreSQL database is backed up with pg_dump, see docs/backup.md")
	}
	if _, err := os.Lstat(path); err == nil {
		return model.Errorf(model.KindConflict, "%s is there already: name a new file", path)
	}
	part := path + ".part"
	if err := os.Remove(part); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("writing backup: %w", err)
	}
	defer os.Remove(part) // it is gone when all went well
	if err := s.copyTo(ctx, part); err != nil {
		return fmt.Errorf("writing backup: %w", err)
	}
	if err := os.Link(part, path); err != nil {
		return fmt.Errorf("writing backup: %w", err)
	}
	return syncFile(filepath.Dir(path))
}

func (s *Store) copyTo(ctx context.Context, path string) error {
	// The pool's readers may write nothing, not even elsewhere.
	db, err := sql.Open("sqlite", s.path+"?_pragma=busy_timeout(5000)")
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, "vacuum into ?", path)
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	if db, err = sql.Open("sqlite", path); err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, "insert into facts (name, value) values (?, ?)", factBackup, s.now().Format("2006-01-02T15:04:05Z"))
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	return syncFile(path)
}

// syncFile has a file, or what a folder lists, reach the disk.
func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
