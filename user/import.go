package user

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"carillon/model"
)

const (
	importPause  = 5 * time.Second // before looking for imports that nobody has told of
	silentUpload = time.Hour       // after which an upload is given up
	importsKept  = 30 * 24 * time.Hour
	importPrefix = "imp_" // of ids
)

// Import takes a CSV file of users, in UTF-8, whose first row names the columns.
// It reads the file to its end and keeps it before it returns: then the import
// is RUNNING, and the rows become users whatever happens to this process. It
// holds about half a megabyte of the file at a time. A file that cannot be read
// is a KindInvalid error, and nothing comes of it.
func (s *Service) Import(ctx context.Context, env model.EnvID, file io.Reader, dryRun bool) (model.Import, error) {
	in, err := openImport(file)
	if err != nil {
		return model.Import{}, fileError(err)
	}
	switch err := in.next(); {
	case errors.Is(err, io.EOF):
		return model.Import{}, model.Errorf(model.KindInvalid, "the file must have a first row that names the columns, and is empty")
	case err != nil:
		return model.Import{}, err
	}
	properties, err := s.Store.Properties(ctx, env)
	if err != nil {
		return model.Import{}, err
	}
	types := map[string]model.PropertyType{}
	for _, p := range properties {
		types[p.Name] = p.Type
	}
	i := model.Import{ID: model.ImportID(importPrefix + s.ids.New()), EnvID: env, DryRun: dryRun}
	if i.Columns, err = readHeader(in.record, types); err != nil {
		return i, err
	}
	if err := s.Store.BeginImport(ctx, i); err != nil {
		return i, err
	}
	started := i
	if err = s.stage(ctx, i, in); err == nil {
		started, err = s.Store.StartImport(ctx, env, i.ID)
	}
	if err != nil {
		if dropErr := s.Store.DropImport(context.WithoutCancel(ctx), env, i.ID); dropErr != nil {
			s.log().WarnContext(ctx, "dropping an upload that failed; it goes in an hour", "environment", int64(env), "error", dropErr)
		}
		return i, err
	}
	s.wakeImports()
	return started, nil
}

// stage keeps the rows of a file, part by part.
func (s *Service) stage(ctx context.Context, i model.Import, in *importFile) error {
	var (
		part         []byte
		count, total int64
	)
	keep := func() error {
		if count == 0 {
			return nil
		}
		err := s.Store.StageImport(ctx, i.EnvID, i.ID, append(part, ']'), count)
		part, count = part[:0], 0
		return err
	}
	for {
		err := in.next()
		if errors.Is(err, io.EOF) {
			return keep()
		}
		if err != nil {
			return err
		}
		if total++; total > model.MaxImportRows {
			return model.Errorf(model.KindInvalid, "the file must have at most %d rows; split it", model.MaxImportRows)
		}
		row, err := json.Marshal(importRecord{Line: in.line, Cells: in.record, Broken: !whole(in.record)})
		if err != nil {
			return fmt.Errorf("encoding a row: %w", err)
		}
		separator := byte(',')
		if count == 0 {
			separator = '['
		}
		part = append(append(part, separator), row...)
		if count++; count == importRows || len(part) >= importBytes {
			if err := keep(); err != nil {
				return err
			}
		}
	}
}

// RunImports makes users of the files that were uploaded, part by part, until
// ctx is done. Several processes may do so at once.
func (s *Service) RunImports(ctx context.Context) {
	tick := time.NewTicker(importPause)
	defer tick.Stop()
	for {
		if err := s.Imports(ctx); err != nil && ctx.Err() == nil {
			s.log().WarnContext(ctx, "importing users", "error", err, "again_in", importPause)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-s.importBell():
		}
	}
}

// wakeImports tells this process's worker.
func (s *Service) wakeImports() {
	select {
	case s.importBell() <- struct{}{}:
	default:
	}
}

func (s *Service) importBell() chan struct{} {
	s.waking.Do(func() { s.imports = make(chan struct{}, 1) })
	return s.imports
}

// Imports works on the imports that are open until none is.
func (s *Service) Imports(ctx context.Context) error {
	now := s.now()
	if err := s.Store.DropOldImports(ctx, now.Add(-silentUpload), now.Add(-importsKept)); err != nil {
		return err
	}
	var (
		failed error
		moved  bool // in this round of the environments
	)
	for after := model.EnvID(0); ctx.Err() == nil; {
		p, found, err := s.Store.NextImport(ctx, after)
		if err != nil || !found {
			return errors.Join(failed, err)
		}
		if p.Import.EnvID <= after {
			if !moved { // others are at what is left, or it failed
				return failed
			}
			moved, failed = false, nil
		}
		after = p.Import.EnvID
		switch busy, err := s.importPart(ctx, p); {
		case err != nil:
			failed = err
		case !busy:
			moved = true
		}
	}
	return failed
}

func (s *Service) importPart(ctx context.Context, p model.ImportPart) (busy bool, err error) {
	if p.Rows == nil {
		return s.Store.FinishImport(ctx, p.Import.EnvID, p.Import.ID)
	}
	var records []importRecord
	if err := json.Unmarshal(p.Rows, &records); err != nil {
		return false, fmt.Errorf("decoding rows of an import: %w", err)
	}
	m := importer{columns: p.Import.Columns}
	for _, r := range records {
		m.row(r)
	}
	busy, err = s.Store.SaveImport(ctx, model.ImportWork{
		ImportPart: p, Work: m.work,
		Merge: func(i int, now json.RawMessage) (json.RawMessage, []model.Problem, error) {
			return m.changes[i].merge(now)
		},
		Explain: func(i int, problems []model.Problem) model.ImportError { return m.explain(m.work[i].Line, problems) },
	})
	if err != nil || busy || p.Import.DryRun {
		return busy, err
	}
	for _, row := range m.work {
		if row.Problem == nil {
			s.note(ctx, p.Import.EnvID, row.Input.Attributes)
		}
	}
	return false, nil
}

// FindImport reads an import.
func (s *Service) FindImport(ctx context.Context, env model.EnvID, id model.ImportID) (model.Import, error) {
	if model.CheckIdentifier(string(id)) != "" {
		return model.Import{}, model.NotFound("names no import", "id")
	}
	return s.Store.Import(ctx, env, id)
}

// CancelImport stops an import that is RUNNING between two parts: the rows that
// had their turn stay, and the others have none.
func (s *Service) CancelImport(ctx context.Context, env model.EnvID, once model.Once, id model.ImportID) (model.Outcome[model.Import], error) {
	if model.CheckIdentifier(string(id)) != "" {
		return model.Outcome[model.Import]{}, model.NotFound("names no import", "id")
	}
	out, err := s.Store.CancelImport(ctx, env, once, id)
	if err == nil {
		s.wakeImports() // what is left of the file goes
	}
	return out, err
}
