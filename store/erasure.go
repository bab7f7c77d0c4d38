package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/uptrace/bun"

	"carillon/model"
)

// erasureWork is what an erasure has yet to look for. It is kept until the
// erasure is done, so that it goes on after a crash where it was.
type erasureWork struct {
	Identifiers []string  `json:"identifiers"` // that the user had
	Addresses   []string  `json:"addresses"`   // and e-mail addresses, numbers, tokens
	Step        int       `json:"step"`
	After       answerKey `json:"after"` // the last idempotency key that was looked at
}

// texts are all that names the user.
func (w erasureWork) texts() []string { return slices.Concat(w.Identifiers, w.Addresses) }

// EraseUser deletes a user at once, and begins the erasure of all that there is
// of theirs, which [Store.AdvanceErasure] goes on with. A user of the same
// identifier may be created at once: it is another one.
//
// The user's row is locked first, then the inbox: a send that is writing to
// that inbox is waited for, and one that comes later finds no user.
func (s *Store) EraseUser(ctx context.Context, env model.EnvID, o model.Once, id model.ErasureID, identifier string) (model.Outcome[model.Erasure], error) {
	return erase(ctx, s, env, o, id, identifier, func(e model.Erasure) model.Erasure { return e })
}

// DeleteUser is EraseUser for callers who want no receipt. It returns the id
// that the user had.
func (s *Store) DeleteUser(ctx context.Context, env model.EnvID, o model.Once, id model.ErasureID, identifier string) (model.Outcome[model.UserID], error) {
	return erase(ctx, s, env, o, id, identifier, func(e model.Erasure) model.UserID { return e.UserID })
}

func erase[T any](ctx context.Context, s *Store, env model.EnvID, o model.Once, id model.ErasureID, identifier string, answer func(model.Erasure) T) (model.Outcome[T], error) {
	return once(ctx, s, env, o, "erasing user", func(ctx context.Context, tx bun.Tx) (T, error) {
		u, err := s.user(ctx, tx, env, identifier, s.dialect.forUpdate)
		if err != nil {
			var none T
			return none, err
		}
		e := erasing{s: s, tx: tx, user: u, counts: map[string]int64{}}
		receipt, err := e.begin(ctx, id)
		return answer(receipt), err
	})
}

// erasing is the first transaction of an erasure.
type erasing struct {
	s      *Store
	tx     bun.Tx
	user   model.User
	work   erasureWork
	counts map[string]int64
}

func (e *erasing) begin(ctx context.Context, id model.ErasureID) (model.Erasure, error) {
	env := e.user.EnvID
	var seq []int64
	if err := e.tx.NewRaw("select seq from inboxes where env_id = ? and user_id = ?"+e.s.dialect.forUpdate, env, e.user.ID).Scan(ctx, &seq); err != nil {
		return model.Erasure{}, err
	}
	for _, step := range []func(context.Context) error{e.collect, e.suppressions, e.scheduled, e.belongings, e.told} {
		if err := step(ctx); err != nil {
			return model.Erasure{}, err
		}
	}
	salt := rand.Text()
	receipt := model.Erasure{
		ID: id, EnvID: env, UserID: e.user.ID, Status: model.ErasureRunning, Salt: salt,
		Hash: model.ErasureHash(salt, e.user.Identifier), Counts: erasedRows(e.counts), CreatedAt: e.s.now(),
	}
	work, err := model.EncodeJSON(e.work)
	if err != nil {
		return receipt, err
	}
	counts, err := model.EncodeJSON(e.counts)
	if err != nil {
		return receipt, err
	}
	_, err = e.tx.NewRaw("insert into erasures (env_id, id, user_id, status, salt, hash, work, counts, created_at) values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
		env, id, e.user.ID, receipt.Status, salt, receipt.Hash, string(work), string(counts), micros(receipt.CreatedAt)).Exec(ctx)
	return receipt, err
}

// collect notes what names the user.
func (e *erasing) collect(ctx context.Context) error {
	var aliases, addresses []string
	if err := e.tx.NewRaw("select identifier from user_aliases where env_id = ? and user_id = ?", e.user.EnvID, e.user.ID).Scan(ctx, &aliases); err != nil {
		return err
	}
	err := e.tx.NewRaw(`select email from profiles where env_id = ?0 and user_id = ?1 and email is not null
		union select phone_number from profiles where env_id = ?0 and user_id = ?1 and phone_number is not null
		union select address from addresses where env_id = ?0 and user_id = ?1
		union select token from devices where env_id = ?0 and user_id = ?1 and token <> ''
		union select web_push from devices where env_id = ?0 and user_id = ?1 and web_push is not null
		union select address from deliveries where env_id = ?0 and address <> '' and notification_id in (
			select id from notifications where env_id = ?0 and user_id = ?1 order by seq desc limit 1000)`, e.user.EnvID, e.user.ID).Scan(ctx, &addresses)
	e.work.Identifiers = append([]string{e.user.Identifier}, aliases...)
	e.work.Addresses = addresses
	return err
}

// suppressions lose the address and what a provider said of it. The hash stays:
// it was asked for that nothing is sent there.
func (e *erasing) suppressions(ctx context.Context) error {
	hashes := make([]string, len(e.work.Addresses))
	for i, a := range e.work.Addresses {
		hashes[i] = model.AddressHash(a)
	}
	if len(hashes) == 0 {
		return nil
	}
	return e.count("suppressions")(e.tx.NewRaw("update suppressions set address = '', detail = '' where env_id = ? and hash in (?)", e.user.EnvID, bun.List(hashes)).Exec(ctx))
}

// scheduled takes the user from the sends that wait for their time; one that
// waits for nobody else goes.
func (e *erasing) scheduled(ctx context.Context) error {
	var rows []struct {
		ID       model.SendID
		Audience string
	}
	if err := e.tx.NewRaw("select id, audience from sends where env_id = ? and status = 'SCHEDULED' and audience like ? order by id"+e.s.dialect.forUpdate,
		e.user.EnvID, fmt.Sprintf("%%%d%%", e.user.ID)).Scan(ctx, &rows); err != nil {
		return err
	}
	for _, r := range rows {
		var a model.Audience
		if err := json.Unmarshal([]byte(r.Audience), &a); err != nil {
			return fmt.Errorf("decoding audience: %w", err)
		}
		left := slices.DeleteFunc(slices.Clone(a.Users), func(id model.UserID) bool { return id == e.user.ID })
		if len(left) == len(a.Users) {
			continue
		}
		if a.Users = left; len(left) == 0 && !a.Grows() {
			if err := e.count("sends")(e.tx.NewRaw("delete from sends where env_id = ? and id = ?", e.user.EnvID, r.ID).Exec(ctx)); err != nil {
				return err
			}
			continue
		}
		text, err := model.EncodeJSON(a)
		if err != nil {
			return err
		}
		if err := e.count("scheduledSends")(e.tx.NewRaw("update sends set audience = ? where env_id = ? and id = ?", string(text), e.user.EnvID, r.ID).Exec(ctx)); err != nil {
			return err
		}
	}
	return nil
}

// belongings are the user's row and what goes with it.
func (e *erasing) belongings(ctx context.Context) error {
	env, id := e.user.EnvID, e.user.ID
	for what, where := range map[string]string{
		"profiles": "user_id = ?1", "devices": "user_id = ?1", "addresses": "user_id = ?1", "preferences": "user_id = ?1", "topic_members": "user_id = ?1",
		"inboxes": "user_id = ?1", "inbox_marks": "user_id = ?1", "interactions": "user_id = ?1", "user_aliases": "user_id = ?1",
		"dedupes": "user_id = ?1", "memberships": "(user_id = ?1 or account_id = ?1)", "merges": "user_id = ?1",
	} {
		var n int64
		if err := e.tx.NewRaw("select count(*) from "+what+" where env_id = ?0 and "+where, env, id).Scan(ctx, &n); err != nil {
			return err
		}
		e.counts[what] += n
	}
	if err := e.count("idempotency")(e.tx.NewRaw("delete from idempotency where env_id = ? and actor = ?", env, id).Exec(ctx)); err != nil {
		return err
	}
	return e.count("users")(e.tx.NewRaw("delete from users where env_id = ? and id = ?", env, id).Exec(ctx))
}

// told takes away the user's collapse keys, and what webhook endpoints were or
// would be told of them, and has these told that the user is gone.
func (e *erasing) told(ctx context.Context) error {
	for _, c := range []struct{ what, statement string }{
		{"webhookAttempts", `delete from webhook_attempts where env_id = ?0 and (endpoint_id, event_id) in (
			select endpoint_id, id from webhook_events where env_id = ?0 and user_id = ?1)`},
		{"collapses", "delete from collapses where env_id = ?0 and user_id = ?1"},
		{"webhookEvents", "delete from webhook_events where env_id = ?0 and user_id = ?1"},
	} {
		if err := e.count(c.what)(e.tx.NewRaw(c.statement, e.user.EnvID, e.user.ID).Exec(ctx)); err != nil {
			return err
		}
	}
	return e.s.tellUser(ctx, e.tx, model.EventUserDeleted, &e.user)
}

// count adds what a statement changed to the receipt.
func (e *erasing) count(what string) func(sql.Result, error) error {
	return func(res sql.Result, err error) error {
		n, err := affected(res, err)
		e.counts[what] += n
		return err
	}
}

// affected is how many rows a statement changed.
func affected(res sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func erasedRows(counts map[string]int64) []model.ErasedRows {
	out := []model.ErasedRows{}
	for _, what := range slices.Sorted(maps.Keys(counts)) {
		if counts[what] > 0 {
			out = append(out, model.ErasedRows{What: what, Rows: counts[what]})
		}
	}
	return out
}

type erasureRow struct {
	EnvID      model.EnvID
	ID         model.ErasureID
	UserID     model.UserID
	Status     model.ErasureStatus
	Salt       string
	Hash       string
	Work       string
	Counts     string
	CreatedAt  int64
	FinishedAt sql.NullInt64
}

const erasureColumns = "env_id, id, user_id, status, salt, hash, work, counts, created_at, finished_at"

func (r erasureRow) model() (model.Erasure, error) {
	e := model.Erasure{
		ID: r.ID, EnvID: r.EnvID, UserID: r.UserID, Status: r.Status, Salt: r.Salt, Hash: r.Hash, CreatedAt: at(r.CreatedAt), FinishedAt: nullAt(r.FinishedAt),
	}
	counts := map[string]int64{}
	if err := json.Unmarshal([]byte(r.Counts), &counts); err != nil {
		return e, fmt.Errorf("decoding counts of an erasure: %w", err)
	}
	e.Counts = erasedRows(counts)
	return e, nil
}

// Erasure reads a receipt.
func (s *Store) Erasure(ctx context.Context, env model.EnvID, id model.ErasureID) (model.Erasure, error) {
	var row erasureRow
	err := s.r.NewRaw("select "+erasureColumns+" from erasures where env_id = ? and id = ?", env, id).Scan(ctx, &row)
	if errors.Is(err, sql.ErrNoRows) {
		return model.Erasure{}, model.NotFound("names no erasure", "id")
	}
	if err != nil {
		return model.Erasure{}, s.fail("reading erasure", err)
	}
	return row.model()
}

// RunningErasures lists erasures of any environment that are not done, oldest
// first.
func (s *Store) RunningErasures(ctx context.Context, limit int) ([]model.Erasure, error) {
	var rows []erasureRow
	if err := s.r.NewRaw("select "+erasureColumns+" from erasures where status = 'RUNNING' order by created_at, env_id, id limit ?", limit).Scan(ctx, &rows); err != nil {
		return nil, s.fail("reading running erasures", err)
	}
	out := make([]model.Erasure, len(rows))
	for i, r := range rows {
		var err error
		if out[i], err = r.model(); err != nil {
			return nil, err
		}
	}
	return out, nil
}
