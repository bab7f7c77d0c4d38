package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/uptrace/bun"

	"carillon/model"
)

// What one transaction of an erasure deletes, or looks at, at most.
const (
	eraseNotifications = 500
	eraseRows          = 2000
)

// AdvanceErasure does the next part of an erasure in one transaction and
// returns how it stands. Parts are small, so that nobody else waits long; who
// comes while another process is at it waits for it, and no part is done twice.
func (s *Store) AdvanceErasure(ctx context.Context, env model.EnvID, id model.ErasureID) (model.Erasure, error) {
	var (
		out  model.Erasure
		gone []sendKey
	)
	err := s.write(ctx, "erasing", func(ctx context.Context, tx bun.Tx) error {
		p := erasurePart{s: s, tx: tx}
		err := tx.NewRaw("select "+erasureColumns+" from erasures where env_id = ? and id = ?"+s.dialect.forUpdate, env, id).Scan(ctx, &p.row)
		if errors.Is(err, sql.ErrNoRows) {
			return model.NotFound("names no erasure", "id")
		}
		if err == nil && p.row.Status == model.ErasureRunning {
			err = p.run(ctx)
		}
		if err != nil {
			return err
		}
		gone = p.gone
		out, err = p.row.model()
		return err
	})
	if err != nil {
		return model.Erasure{}, err
	}
	s.said.forget(gone)
	if out.Status == model.ErasureDone {
		s.dropLog(ctx)
	}
	return out, nil
}

// dropLog has an SQLite database let go of its write-ahead log, where deleted
// rows stand yet. When readers are in the way the next checkpoint does it.
func (s *Store) dropLog(ctx context.Context) {
	if s.dialect.arrays {
		return
	}
	_, _ = s.w.ExecContext(ctx, "pragma wal_checkpoint(truncate)") // it is best effort, see above
}

// erasurePart is one part of an erasure.
type erasurePart struct {
	s      *Store
	tx     bun.Tx
	row    erasureRow
	work   erasureWork
	counts map[string]int64
	gone   []sendKey // sends that went
}

func (p *erasurePart) run(ctx context.Context) error {
	if err := json.Unmarshal([]byte(p.row.Work), &p.work); err != nil {
		return fmt.Errorf("decoding work of an erasure: %w", err)
	}
	if err := json.Unmarshal([]byte(p.row.Counts), &p.counts); err != nil {
		return fmt.Errorf("decoding counts of an erasure: %w", err)
	}
	steps := []func(context.Context) (done bool, err error){p.notifications, p.events, p.skips, p.answers}
	done, err := steps[p.work.Step](ctx)
	if err != nil {
		return err
	}
	if done {
		p.work.Step++
	}
	return p.save(ctx, p.work.Step == len(steps))
}

func (p *erasurePart) save(ctx context.Context, finished bool) error {
	work, err := model.EncodeJSON(p.work)
	if err != nil {
		return err
	}
	counts, err := model.EncodeJSON(p.counts)
	if err != nil {
		return err
	}
	p.row.Work, p.row.Counts = string(work), string(counts)
	if finished {
		p.row.Status, p.row.Work, p.row.FinishedAt = model.ErasureDone, "", sql.NullInt64{Int64: micros(p.s.now()), Valid: true}
	}
	_, err = p.tx.NewRaw("update erasures set status = ?, work = ?, counts = ?, finished_at = ? where env_id = ? and id = ?",
		p.row.Status, p.row.Work, p.row.Counts, p.row.FinishedAt, p.row.EnvID, p.row.ID).Exec(ctx)
	return err
}

// exec runs a statement and counts what it changed.
func (p *erasurePart) exec(ctx context.Context, what, statement string, args ...any) (int64, error) {
	n, err := affected(p.tx.NewRaw(statement, args...).Exec(ctx))
	p.counts[what] += n
	return n, err
}

// notifications go with their deliveries and every attempt at these. A send
// that nobody else has goes with its last notification.
func (p *erasurePart) notifications(ctx context.Context) (bool, error) {
	env := p.row.EnvID
	var rows []struct {
		ID     model.NotificationID
		SendID model.SendID
	}
	if err := p.tx.NewRaw("select id, send_id from notifications where env_id = ? and user_id = ? limit ?", env, p.row.UserID, eraseNotifications).Scan(ctx, &rows); err != nil {
		return false, err
	}
	if len(rows) == 0 {
		return true, nil
	}
	var ids []model.NotificationID
	var sends []model.SendID
	for _, r := range rows {
		ids, sends = append(ids, r.ID), append(sends, r.SendID)
	}
	list := bun.List(ids)
	for _, c := range []struct{ what, statement string }{
		{"attempts", "delete from attempts where env_id = ?0 and delivery_id in (select id from deliveries where env_id = ?0 and notification_id in (?1))"},
		{"deliveries", "delete from deliveries where env_id = ?0 and notification_id in (?1)"},
		{"notifications", "delete from notifications where env_id = ?0 and id in (?1)"},
	} {
		if _, err := p.exec(ctx, c.what, c.statement, env, list); err != nil {
			return false, err
		}
	}
	return false, p.sends(ctx, sends)
}

// sends deletes those of sends that nobody has, and that nobody will get.
func (p *erasurePart) sends(ctx context.Context, ids []model.SendID) error {
	if len(ids) == 0 {
		return nil
	}
	for _, id := range ids {
		p.gone = append(p.gone, sendKey{p.row.EnvID, id})
	}
	_, err := p.exec(ctx, "sends", `delete from sends as s where s.env_id = ?0 and s.id in (?1) and `+closedSend+`
		and not exists (select 1 from notifications n where n.env_id = ?0 and n.send_id = s.id)`, p.row.EnvID, bun.List(ids))
	return err
}

func (p *erasurePart) events(ctx context.Context) (bool, error) {
	n, err := p.exec(ctx, "events", "delete from events where env_id = ?0 and id in (select id from events where env_id = ?0 and user_id = ?1 limit ?2)", p.row.EnvID, p.row.UserID, eraseRows)
	return n < eraseRows, err
}

// skips are the user's places among those whom sends have left out. A send that
// was for nobody else says nothing to anyone: it goes.
func (p *erasurePart) skips(ctx context.Context) (bool, error) {
	env := p.row.EnvID
	var sends []model.SendID
	if err := p.tx.NewRaw(`select k.send_id from send_skips k join sends s on s.env_id = k.env_id and s.id = k.send_id
		where k.env_id = ? and k.identifier in (?) and s.created_at <= ? limit ?`, env, bun.List(p.work.Identifiers), p.row.CreatedAt, eraseNotifications).Scan(ctx, &sends); err != nil {
		return false, err
	}
	if len(sends) == 0 {
		return true, nil
	}
	if _, err := p.exec(ctx, "send_skips", "delete from send_skips where env_id = ? and send_id in (?) and identifier in (?)", env, bun.List(sends), bun.List(p.work.Identifiers)); err != nil {
		return false, err
	}
	return false, p.sends(ctx, sends)
}

// answerKey is a place in the order of idempotency keys.
type answerKey struct {
	Actor     model.UserID `json:"actor"`
	Operation string       `json:"operation"`
	Key       string       `json:"key"`
}

// deletions are the operations whose answers hold an id that names nobody any
// more, and must be given again.
var deletions = map[string]bool{"eraseUser": true, "deleteUser": true}

// answers walks through the stored answers of the environment from before, and
// deletes those that say something of the user or of sends that are gone.
func (p *erasurePart) answers(ctx context.Context) (bool, error) {
	env, after := p.row.EnvID, p.work.After
	var rows []struct {
		answerKey
		Result string
	}
	if err := p.tx.NewRaw(`select actor, operation, key, result from idempotency
		where env_id = ? and (actor, operation, key) > (?, ?, ?) and created_at <= ? order by actor, operation, key limit ?`,
		env, after.Actor, after.Operation, after.Key, p.row.CreatedAt, eraseRows).Scan(ctx, &rows); err != nil {
		return false, err
	}
	sends := map[model.SendID][]int{}
	var telling []answerKey
	names := newNaming(p.row.UserID, p.work.texts())
	for i, r := range rows {
		p.work.After = r.answerKey
		if names.inKey(r.Key) || !deletions[r.Operation] && names.inJSON(r.Result) {
			telling = append(telling, r.answerKey)
		} else if id := sendOfAnswer(r.Result); id != 0 {
			sends[id] = append(sends[id], i)
		}
	}
	there, err := p.existing(ctx, sends)
	if err != nil {
		return false, err
	}
	for id, places := range sends {
		for _, i := range places {
			if !there[id] {
				telling = append(telling, rows[i].answerKey)
			}
		}
	}
	for _, k := range telling {
		if _, err := p.exec(ctx, "idempotency", "delete from idempotency where env_id = ? and actor = ? and operation = ? and key = ?", env, k.Actor, k.Operation, k.Key); err != nil {
			return false, err
		}
	}
	return len(rows) < eraseRows, nil
}

// existing says which of the sends are still kept.
func (p *erasurePart) existing(ctx context.Context, sends map[model.SendID][]int) (map[model.SendID]bool, error) {
	if len(sends) == 0 {
		return nil, nil
	}
	ids := make([]model.SendID, 0, len(sends))
	for id := range sends {
		ids = append(ids, id)
	}
	var found []model.SendID
	if err := p.tx.NewRaw("select id from sends where env_id = ? and id in (?)", p.row.EnvID, bun.List(ids)).Scan(ctx, &found); err != nil {
		return nil, err
	}
	there := make(map[model.SendID]bool, len(found))
	for _, id := range found {
		there[id] = true
	}
	return there, nil
}

// sendOfAnswer is the send that a stored answer is about, zero if none. Most
// answers are of sends: of these the beginning is enough, for decoding all of it
// is most of what an erasure takes.
func sendOfAnswer(result string) model.SendID {
	if rest, ok := strings.CutPrefix(result, `{"Send":{"ID":`); ok {
		digits, _, _ := strings.Cut(rest, ",")
		if id, err := strconv.ParseInt(digits, 10, 64); err == nil {
			return model.SendID(id)
		}
	}
	if !strings.Contains(result, `"Send"`) && !strings.Contains(result, `"RequestID"`) {
		return 0
	}
	var about struct {
		Send *struct{ ID model.SendID }
		ID   json.RawMessage
		Set  json.RawMessage `json:"RequestID"`
	}
	if json.Unmarshal([]byte(result), &about) != nil {
		return 0
	}
	if about.Send != nil {
		return about.Send.ID
	}
	var id model.SendID
	if about.Set == nil || json.Unmarshal(about.ID, &id) != nil {
		return 0
	}
	return id
}

// naming tells whether something names a user.
type naming struct {
	id    json.Number
	texts []string
	exact map[string]bool
}

func newNaming(id model.UserID, texts []string) naming {
	n := naming{id: json.Number(fmt.Sprint(int64(id))), exact: map[string]bool{}}
	for _, t := range texts {
		if t != "" {
			n.texts, n.exact[t] = append(n.texts, t), true
		}
	}
	return n
}

// plainName is the length in bytes from which a text names a user wherever it
// stands; a shorter one has to stand alone.
const plainName = 6

// inKey reports whether a text that an application chose names the user.
func (n naming) inKey(key string) bool {
	for _, t := range n.texts {
		for rest, from := key, 0; ; {
			i := strings.Index(rest, t)
			if i < 0 {
				break
			}
			from += i
			if len(t) >= plainName || alone(key, from, from+len(t)) {
				return true
			}
			from++
			rest = key[from:]
		}
	}
	return false
}

// alone reports whether neither letter nor digit stands around a part.
func alone(s string, from, to int) bool {
	before, _ := utf8.DecodeLastRuneInString(s[:from])
	after, _ := utf8.DecodeRuneInString(s[to:])
	word := func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
	return (from == 0 || !word(before)) && (to == len(s) || !word(after))
}

// mayBeIn reports whether a stored answer could have what inJSON looks for. It
// looks at the text alone; where something is escaped it cannot tell.
func (n naming) mayBeIn(result string) bool {
	if strings.Contains(result, n.id.String()) || strings.Contains(result, `\`) {
		return true
	}
	for _, t := range n.texts {
		if len(t) < plainName {
			t = `"` + t + `"`
		}
		if strings.Contains(result, t) {
			return true
		}
	}
	return false
}

// inJSON reports whether a value of a stored answer is the user's id, or a text
// that names the user.
func (n naming) inJSON(result string) bool {
	if !n.mayBeIn(result) {
		return false
	}
	d := json.NewDecoder(bytes.NewReader([]byte(result)))
	d.UseNumber()
	for {
		token, err := d.Token()
		if err != nil {
			return false
		}
		switch v := token.(type) {
		case json.Number:
			if v == n.id {
				return true
			}
		case string:
			if n.exact[v] || n.long(v) {
				return true
			}
		}
	}
}

func (n naming) long(v string) bool {
	for _, t := range n.texts {
		if len(t) >= plainName && strings.Contains(v, t) {
			return true
		}
	}
	return false
}
