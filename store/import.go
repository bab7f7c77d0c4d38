package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"carillon/model"
)

type importRow struct {
	EnvID      model.EnvID
	ID         model.ImportID
	Status     model.ImportStatus
	DryRun     bool
	Columns    string
	Parts      int64
	Next       int64
	Total      int64
	Processed  int64
	Created    int64
	Changed    int64
	Same       int64
	Invalid    int64
	Duplicates int64
	Errors     string
	Canceled   bool
	CreatedAt  int64
	FinishedAt sql.NullInt64
}

const importColumns = "env_id, id, status, dry_run, columns, parts, next, total, processed, created, changed, same, invalid, duplicates, errors, canceled, created_at, finished_at"

func (r importRow) model() (model.Import, error) {
	i := model.Import{
		ID: r.ID, EnvID: r.EnvID, Status: r.Status, DryRun: r.DryRun, Total: r.Total, Processed: r.Processed, Created: r.Created, Changed: r.Changed,
		Same: r.Same, Invalid: r.Invalid, Duplicates: r.Duplicates, CreatedAt: at(r.CreatedAt), FinishedAt: nullAt(r.FinishedAt),
	}
	if r.Canceled {
		i.Status = model.ImportCanceled
	}
	if err := json.Unmarshal([]byte(r.Columns), &i.Columns); err != nil {
		return i, fmt.Errorf("decoding columns of an import: %w", err)
	}
	if err := json.Unmarshal([]byte(r.Errors), &i.Errors); err != nil {
		return i, fmt.Errorf("decoding errors of an import: %w", err)
	}
	return i, nil
}

var errNoImport = model.NotFound("names no import", "id")

// BeginImport makes an import whose file is arriving. An environment with
// model.MaxOpenImports that are not done gets a KindLimit error.
func (s *Store) BeginImport(ctx context.Context, i model.Import) error {
	columns, err := model.EncodeJSON(i.Columns)
	if err != nil {
		return err
	}
	return s.write(ctx, "beginning an import", func(ctx context.Context, tx bun.Tx) error {
		var open int
		if err := tx.NewRaw("select count(*) from imports where env_id = ? and not clean", i.EnvID).Scan(ctx, &open); err != nil {
			return err
		}
		if open >= model.MaxOpenImports {
			return model.Errorf(model.KindLimit, "%d imports are not done yet; wait for one of them", open)
		}
		now := micros(s.now())
		_, err := tx.NewRaw(`insert into imports (env_id, id, status, dry_run, columns, parts, next, total, processed, created, changed, same, invalid, duplicates, errors, canceled, clean, created_at, updated_at)
			values (?, ?, 'UPLOADING', ?, ?, 0, 0, 0, 0, 0, 0, 0, 0, 0, '[]', false, false, ?, ?)`, i.EnvID, i.ID, i.DryRun, string(columns), now, now).Exec(ctx)
		return err
	})
}

// StageImport keeps the next part of the file of an import, which has so many
// rows.
func (s *Store) StageImport(ctx context.Context, env model.EnvID, id model.ImportID, rows json.RawMessage, count int64) error {
	return s.write(ctx, "staging an import", func(ctx context.Context, tx bun.Tx) error {
		var part int64
		err := tx.NewRaw("update imports set parts = parts + 1, total = total + ?, updated_at = ? where env_id = ? and id = ? and status = 'UPLOADING' returning parts - 1",
			count, micros(s.now()), env, id).Scan(ctx, &part)
		if errors.Is(err, sql.ErrNoRows) {
			return model.Errorf(model.KindConflict, "the upload took too long between two parts and was given up")
		}
		if err != nil {
			return err
		}
		_, err = tx.NewRaw("insert into import_parts (env_id, import_id, part, rows) values (?, ?, ?, ?)", env, id, part, string(rows)).Exec(ctx)
		return err
	})
}

// StartImport says that the file of an import is whole: from now on it is
// worked on, whatever happens.
func (s *Store) StartImport(ctx context.Context, env model.EnvID, id model.ImportID) (model.Import, error) {
	err := s.write(ctx, "starting an import", func(ctx context.Context, tx bun.Tx) error {
		n, err := affected(tx.NewRaw("update imports set status = 'RUNNING', updated_at = ? where env_id = ? and id = ? and status = 'UPLOADING'", micros(s.now()), env, id).Exec(ctx))
		if err == nil && n == 0 {
			err = model.Errorf(model.KindConflict, "the upload took too long between two parts and was given up")
		}
		return err
	})
	if err != nil {
		return model.Import{}, err
	}
	return s.Import(ctx, env, id)
}

// DropImport forgets an import whose file did not arrive whole.
func (s *Store) DropImport(ctx context.Context, env model.EnvID, id model.ImportID) error {
	return s.write(ctx, "dropping an import", func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewRaw("delete from imports where env_id = ? and id = ? and status = 'UPLOADING'", env, id).Exec(ctx)
		return err
	})
}

// DropOldImports forgets, of any environment, uploads that nothing has come of
// since a moment, and imports that were done before another.
func (s *Store) DropOldImports(ctx context.Context, silent, done time.Time) error {
	return s.write(ctx, "dropping old imports", func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewRaw("delete from imports where status = 'UPLOADING' and not clean and updated_at < ? or clean and finished_at < ?", micros(silent), micros(done)).Exec(ctx)
		return err
	})
}

// Import reads an import.
func (s *Store) Import(ctx context.Context, env model.EnvID, id model.ImportID) (model.Import, error) {
	var row importRow
	err := s.r.NewRaw("select "+importColumns+" from imports where env_id = ? and id = ?", env, id).Scan(ctx, &row)
	if errors.Is(err, sql.ErrNoRows) {
		return model.Import{}, errNoImport
	}
	if err != nil {
		return model.Import{}, s.fail("reading import", err)
	}
	return row.model()
}

// CancelImport has no further part of an import become users. One that a worker is
// at is waited for; what was done stays, with its counts. An import that is
// canceled already is no error, one that is UPLOADING or DONE a KindConflict.
func (s *Store) CancelImport(ctx context.Context, env model.EnvID, o model.Once, id model.ImportID) (model.Outcome[model.Import], error) {
	return once(ctx, s, env, o, "cancelling an import", func(ctx context.Context, tx bun.Tx) (model.Import, error) {
		now := micros(s.now())
		// To the workers it is done: a part is made of one that is RUNNING alone.
		if _, err := tx.NewRaw("update imports set status = 'DONE', canceled = true, finished_at = ?, updated_at = ? where env_id = ? and id = ? and status = 'RUNNING'",
			now, now, env, id).Exec(ctx); err != nil {
			return model.Import{}, err
		}
		var row importRow
		err := tx.NewRaw("select "+importColumns+" from imports where env_id = ? and id = ?", env, id).Scan(ctx, &row)
		if errors.Is(err, sql.ErrNoRows) {
			return model.Import{}, errNoImport
		}
		if err == nil && !row.Canceled {
			err = model.Conflict(fmt.Sprintf("names an import that is %s: only a RUNNING one can be cancelled", row.Status), "id")
		}
		if err != nil {
			return model.Import{}, err
		}
		return row.model()
	})
}

// NextImport reads the part whose turn it is, of an import that is running, or
// was done or canceled and is not clean: that has no part. Environments take turns, beginning
// with the one after the given one. Reading claims nothing.
func (s *Store) NextImport(ctx context.Context, after model.EnvID) (p model.ImportPart, found bool, err error) {
	for _, from := range []model.EnvID{after, 0} {
		var row importRow
		err = s.r.NewRaw("select "+importColumns+" from imports where not clean and status <> 'UPLOADING' and env_id > ? order by env_id, created_at, id limit 1", from).Scan(ctx, &row)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return p, false, s.fail("finding the next import", err)
		}
		if p.Import, err = row.model(); err != nil {
			return p, false, err
		}
		p.Part = row.Next
		if row.Status == model.ImportRunning {
			p.Rows, err = s.importPart(ctx, row)
		}
		return p, true, err
	}
	return p, false, nil
}

// importPart reads the rows of the part whose turn it is; nil: there is none.
func (s *Store) importPart(ctx context.Context, row importRow) (json.RawMessage, error) {
	var rows string
	err := s.r.NewRaw("select rows from import_parts where env_id = ? and import_id = ? and part = ?", row.EnvID, row.ID, row.Next).Scan(ctx, &rows)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return json.RawMessage(rows), s.fail("reading an import", err)
}

// FinishImport says that an import whose parts are all done is so, and drops some
// of what it or a canceled one leaves, until it is clean. busy is true, and nothing was
// done, when another process is at it, or it is not that far.
func (s *Store) FinishImport(ctx context.Context, env model.EnvID, id model.ImportID) (busy bool, err error) {
	const (
		most      = 20_000 // hashes
		mostParts = 20
	)
	err = s.write(ctx, "finishing an import", func(ctx context.Context, tx bun.Tx) error {
		var row importRow
		err := tx.NewRaw("select "+importColumns+" from imports where env_id = ? and id = ? and status <> 'UPLOADING' and (next = parts or canceled) and not clean"+s.dialect.skipLocked, env, id).Scan(ctx, &row)
		if errors.Is(err, sql.ErrNoRows) {
			busy = true
			return nil
		}
		if err != nil {
			return err
		}
		n, err := affected(tx.NewRaw(`delete from import_keys where env_id = ?0 and import_id = ?1 and hash in (
			select hash from import_keys where env_id = ?0 and import_id = ?1 limit ?2)`, env, id, most).Exec(ctx))
		if err != nil {
			return err
		}
		parts, err := affected(tx.NewRaw(`delete from import_parts where env_id = ?0 and import_id = ?1 and part in (
			select part from import_parts where env_id = ?0 and import_id = ?1 limit ?2)`, env, id, mostParts).Exec(ctx))
		if err != nil {
			return err
		}
		now := micros(s.now())
		_, err = tx.NewRaw("update imports set status = 'DONE', finished_at = coalesce(finished_at, ?), updated_at = ?, clean = ? where env_id = ? and id = ?",
			now, now, n < most && parts < mostParts, env, id).Exec(ctx)
		return err
	})
	return busy, err
}
