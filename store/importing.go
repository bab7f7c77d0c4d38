package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/uptrace/bun"

	"carillon/model"
)

// SaveImport makes users of a part of an import: they, the counts and the end
// of the part are one transaction, so that a part that is cut short leaves
// nothing behind. When another process has done it, or is done with the import,
// nothing happens, and busy is true; also while another is at it. A dry run counts
// what would be.
func (s *Store) SaveImport(ctx context.Context, w model.ImportWork) (busy bool, err error) {
	const tries = 3 // users may be deleted between looking and locking
	for range tries {
		ids, err := s.NewIDs(ctx, len(w.Work))
		if err != nil {
			return false, err
		}
		err = s.write(ctx, "importing users", func(ctx context.Context, tx bun.Tx) error {
			i := importing{s: s, w: w, env: w.Import.EnvID, id: w.Import.ID}
			busy, err = i.run(ctx, tx, ids)
			return err
		})
		if !errors.Is(err, errMoreIDs) {
			return busy, err
		}
	}
	return false, errMoreIDs
}

// importing is one run of SaveImport.
type importing struct {
	s      *Store
	w      model.ImportWork
	env    model.EnvID
	id     model.ImportID
	counts importRow
	errors []model.ImportError
}

func (i *importing) run(ctx context.Context, tx bun.Tx, ids []int64) (busy bool, err error) {
	err = tx.NewRaw("select "+importColumns+" from imports where env_id = ? and id = ? and status = 'RUNNING' and next = ?"+i.s.dialect.skipLocked, i.env, i.id, i.w.Part).Scan(ctx, &i.counts)
	if errors.Is(err, sql.ErrNoRows) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	if err := json.Unmarshal([]byte(i.counts.Errors), &i.errors); err != nil {
		return false, err
	}
	left, err := i.once(ctx, tx)
	if err != nil {
		return false, err
	}
	if err := i.users(ctx, tx, left, ids); err != nil {
		return false, err
	}
	return false, i.save(ctx, tx)
}

func (i *importing) wrong(e model.ImportError) {
	if len(i.errors) < model.MaxImportErrors {
		i.errors = append(i.errors, e)
	}
}

// once leaves out the rows that are wrong, and those whose identifier an earlier
// row of the file had.
func (i *importing) once(ctx context.Context, tx bun.Tx) ([]int, error) {
	var keys values
	lines := map[int64]int64{}
	for _, r := range i.w.Work {
		if hash := importKey(r.Input.Identifier); r.Problem == nil && lines[hash] == 0 {
			lines[hash] = r.Line
			keys.row(i.env, i.id, hash, r.Line)
		}
	}
	if !keys.empty() {
		var hashes []int64
		for hash := range lines {
			hashes = append(hashes, hash)
		}
		var known []struct{ Hash, Line int64 }
		if err := tx.NewRaw("select hash, line from import_keys where env_id = ? and import_id = ? and hash in (?)", i.env, i.id, bun.List(hashes)).Scan(ctx, &known); err != nil {
			return nil, err
		}
		for _, k := range known {
			lines[k.Hash] = k.Line
		}
		if _, err := tx.NewRaw("insert into import_keys (env_id, import_id, hash, line) values "+keys.String()+" on conflict do nothing", keys.args...).Exec(ctx); err != nil {
			return nil, err
		}
	}
	var left []int
	for n, r := range i.w.Work {
		switch line := lines[importKey(r.Input.Identifier)]; {
		case r.Problem != nil:
			i.counts.Invalid++
			i.wrong(*r.Problem)
		case line != r.Line:
			i.counts.Duplicates++
			i.wrong(model.ImportError{Line: r.Line, Column: i.w.Import.Header(model.ImportIdentifier), Message: "is on line " + strconv.FormatInt(line, 10) + " already; this row is left out"})
		default:
			left = append(left, n)
		}
	}
	return left, nil
}

// importKey is a hash of an identifier.
func importKey(identifier string) int64 {
	sum := sha256.Sum256([]byte(identifier))
	return int64(binary.BigEndian.Uint64(sum[:]))
}

// users identifies those that are left, in the order of the file.
func (i *importing) users(ctx context.Context, tx bun.Tx, left []int, ids []int64) error {
	if len(left) == 0 {
		return nil
	}
	names := make([]string, len(left))
	for n, at := range left {
		names[n] = i.w.Work[at].Input.Identifier
	}
	call := identifyCall{
		s: i.s, env: i.env, identifiers: names, now: i.s.now(), ids: ids,
		merge: func(n int, now json.RawMessage) (json.RawMessage, []model.Problem, error) {
			return i.w.Merge(left[n], now)
		},
	}
	sorted := slices.Compact(slices.Sorted(slices.Values(names)))
	lock := i.s.dialect.forChange
	if i.w.Import.DryRun {
		lock = ""
	}
	known, err := i.s.usersNamed(ctx, tx, i.env, sorted, lock)
	if err != nil {
		return err
	}
	before := make(map[model.UserID]model.User, len(known))
	for _, u := range known {
		before[u.ID] = u
	}
	var results []model.IdentifyResult
	if i.w.Import.DryRun {
		p, err := call.plan(known)
		if err != nil {
			return err
		}
		results = p.results()
	} else if results, err = call.runKnown(ctx, tx, known); err != nil {
		return err
	}
	return i.tally(ctx, tx, left, results, before)
}

// tally counts what became of the rows, and makes true what they say besides
// attributes.
func (i *importing) tally(ctx context.Context, tx bun.Tx, left []int, results []model.IdentifyResult, before map[model.UserID]model.User) error {
	enabled, kinds := map[bool][]model.UserID{}, map[model.UserKind][]model.UserID{}
	var (
		signed []signUp
		told   []*model.User // whose attributes have not told of them
	)
	places, err := i.places(ctx, tx, left, results)
	if err != nil {
		return err
	}
	for n, r := range results {
		row := i.w.Work[left[n]]
		if len(r.Problems) > 0 {
			i.counts.Invalid++
			i.wrong(i.w.Explain(left[n], r.Problems))
			continue
		}
		var other bool
		if e := row.Enabled; e != nil && *e != r.User.Enabled {
			other, enabled[*e] = true, append(enabled[*e], r.User.ID)
		}
		if k := row.Kind; k != nil && *k != r.User.Kind {
			other, kinds[*k] = true, append(kinds[*k], r.User.ID)
		}
		if at := row.SignedUpAt; at != nil && !at.Equal(r.User.SignedUpAt.Truncate(time.Second)) {
			other, signed = true, append(signed, signUp{r.User.ID, micros(*at)})
		}
		patched := before[r.User.ID].Profile.Version != r.User.Profile.Version
		if other && !patched && !r.Created {
			told = append(told, &results[n].User)
		}
		switch {
		case r.Created:
			i.counts.Created++
		case other || patched || places.news[r.User.ID]:
			i.counts.Changed++
		default:
			i.counts.Same++
		}
	}
	if i.w.Import.DryRun {
		return nil
	}
	if err := i.signUps(ctx, tx, signed); err != nil {
		return err
	}
	if err := places.save(ctx, tx); err != nil {
		return err
	}
	now := micros(i.s.now())
	for is, ids := range enabled {
		if _, err := tx.NewRaw("update users set enabled = ?, updated_at = ? where env_id = ? and id in (?)", is, now, i.env, bun.List(ids)).Exec(ctx); err != nil {
			return err
		}
	}
	for is, ids := range kinds {
		if _, err := tx.NewRaw("update users set kind = ?, updated_at = ? where env_id = ? and id in (?)", is, now, i.env, bun.List(ids)).Exec(ctx); err != nil {
			return err
		}
	}
	return i.s.tellUser(ctx, tx, model.EventUserUpdated, told...)
}

func (i *importing) save(ctx context.Context, tx bun.Tx) error {
	list, err := model.EncodeJSON(i.errors)
	if err != nil {
		return err
	}
	c, now := i.counts, micros(i.s.now())
	if _, err := tx.NewRaw(`update imports set next = next + 1, processed = ?, created = ?, changed = ?, same = ?, invalid = ?, duplicates = ?, errors = ?, updated_at = ?
		where env_id = ? and id = ?`, c.Processed+int64(len(i.w.Work)), c.Created, c.Changed, c.Same, c.Invalid, c.Duplicates, string(list), now, i.env, i.id).Exec(ctx); err != nil {
		return err
	}
	_, err = tx.NewRaw("delete from import_parts where env_id = ? and import_id = ? and part = ?", i.env, i.id, i.w.Part).Exec(ctx)
	return err
}
