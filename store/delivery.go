package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"carillon/model"
)

type deliveryRow struct {
	EnvID          model.EnvID
	ID             model.DeliveryID
	NotificationID model.NotificationID
	UserID         model.UserID
	SendID         model.SendID
	Channel        int16
	State          int16
	Reason         int16
	Address        string
	Platform       model.Platform
	Carrier        string
	Unless         int16
	Attempt        int
	Tries          int
	Fence          int64
	Lost           int
	RunAt          int64
	BeganAt        int64
	ExpiresAt      int64
	ProviderID     model.ProviderID
	MessageID      string
	Detail         string
	CreatedAt      int64
	UpdatedAt      int64
}

const deliveryColumns = `d.env_id, d.id, d.notification_id, d.user_id, d.send_id, d.channel, d.state, d.reason, d.address, d.platform, d.carrier, d.unless,
	d.attempt, d.tries, d.fence, d.lost, d.run_at, d.began_at, d.expires_at, d.provider_id, d.message_id, d.detail, d.created_at, d.updated_at`

// returnedColumns are the same, of a statement that changes them.
var returnedColumns = strings.ReplaceAll(deliveryColumns, "d.", "deliveries.")

func (r deliveryRow) model() model.Delivery {
	return model.Delivery{
		ID: r.ID, EnvID: r.EnvID, NotificationID: r.NotificationID, UserID: r.UserID, SendID: r.SendID, Channel: model.Channel(r.Channel),
		State: model.DeliveryState(r.State), Reason: model.Reason(r.Reason), Address: r.Address, Platform: r.Platform, Carrier: r.Carrier,
		Unless: unlessMarks[r.Unless], Attempt: r.Attempt, Tries: r.Tries, Lost: r.Lost,
		RunAt: at(r.RunAt), BeganAt: atUnlessZero(r.BeganAt), ExpiresAt: atUnlessZero(r.ExpiresAt), ProviderID: r.ProviderID, MessageID: r.MessageID, Detail: r.Detail,
		CreatedAt: at(r.CreatedAt), UpdatedAt: at(r.UpdatedAt),
	}
}

// unlessMarks are what the column unless can say.
var unlessMarks = map[int16]model.MarkState{1: model.MarkSeen, 2: model.MarkRead}

func unlessNumber(m model.MarkState) int16 {
	for n, mark := range unlessMarks {
		if mark == m {
			return n
		}
	}
	return 0
}

// atUnlessZero is at for columns where zero is none.
func atUnlessZero(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return at(us)
}

// zeroMicros is the inverse of atUnlessZero.
func zeroMicros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return micros(t)
}

// lane is what the queue's index begins with: the environment, then the channel.
func lane(env model.EnvID, c model.Channel) int64 { return int64(env)*32 + int64(c) }

func laneOf(n int64) model.Lane {
	return model.Lane{Env: model.EnvID(n / 32), Channel: model.Channel(n % 32)}
}

// insertDeliveries writes planned deliveries within the transaction that writes
// their notifications.
func (s *Store) insertDeliveries(ctx context.Context, tx bun.IDB, planned []model.PlannedDelivery) error {
	clock, clockArgs := s.dialectNow()
	for chunk := range slices.Chunk(planned, saveChunk/4) {
		var list values
		for _, d := range chunk {
			list.row(d.EnvID, d.ID, d.NotificationID, d.UserID, d.SendID, int16(d.Channel), lane(d.EnvID, d.Channel), int16(d.State), int16(d.Reason),
				d.Address, string(d.Platform), d.Carrier, unlessNumber(d.Unless), d.After.Microseconds(), zeroMicros(d.ExpiresAt), micros(d.CreatedAt))
		}
		q := `with x (env_id, id, notification_id, user_id, send_id, channel, lane, state, reason, address, platform, carrier, unless, after, expires_at, created_at) as (values ` + list.String() + `)
			insert into deliveries (env_id, id, notification_id, user_id, send_id, channel, lane, state, reason, address, platform, carrier, unless, run_at, expires_at, created_at, updated_at)
			select env_id, id, notification_id, user_id, send_id, channel, lane, state, reason, address, platform, carrier, unless, ` + clock + ` + after, expires_at, created_at, ? from x`
		if _, err := tx.NewRaw(q, slices.Concat(list.args, clockArgs, []any{micros(s.now())})...).Exec(ctx); err != nil {
			return fmt.Errorf("writing deliveries: %w", err)
		}
	}
	return nil
}

// insertOptions writes what sends say about their delivery, for those that say
// anything.
func insertOptions(ctx context.Context, tx bun.IDB, sends []*model.PendingSend) error {
	var list values
	for _, p := range sends {
		if p.Fire || p.Options.Empty() {
			continue
		}
		b, err := json.Marshal(p.Options)
		if err != nil {
			return fmt.Errorf("encoding options: %w", err)
		}
		list.row(p.Send.EnvID, p.Send.ID, string(b))
	}
	return list.insert(ctx, tx, "insert into send_options (env_id, send_id, options)")
}

// SendOptions reads what sends say about their delivery; those that say nothing
// are absent.
func (s *Store) SendOptions(ctx context.Context, env model.EnvID, ids []model.SendID) (map[model.SendID]model.SendOptions, error) {
	out, err := s.sendOptions(ctx, s.r, env, ids)
	return out, s.fail("reading options of sends", err)
}

func (s *Store) sendOptions(ctx context.Context, db bun.IDB, env model.EnvID, ids []model.SendID) (map[model.SendID]model.SendOptions, error) {
	out := map[model.SendID]model.SendOptions{}
	if len(ids) == 0 {
		return out, nil
	}
	var (
		id   model.SendID
		text string
	)
	rows, err := db.QueryContext(ctx, keys(env, ids)+"select send_id, options from k cross join send_options where env_id = of_env and send_id = of_id")
	err = scanEach(rows, err, []any{&id, &text}, func() error {
		o, err := decodeOptions(sql.NullString{String: text, Valid: true})
		out[id] = o
		return err
	})
	return out, err
}

func decodeOptions(text sql.NullString) (o model.SendOptions, err error) {
	if !text.Valid {
		return o, nil
	}
	if err := json.Unmarshal([]byte(text.String), &o); err != nil {
		return o, fmt.Errorf("decoding options of a send: %w", err)
	}
	return o, nil
}

func (s *Store) deliveries(ctx context.Context, db bun.IDB, rest string, args ...any) ([]model.Delivery, error) {
	return s.deliveriesFrom(ctx, db, "deliveries d "+rest, args...)
}

func (s *Store) deliveriesFrom(ctx context.Context, db bun.IDB, from string, args ...any) ([]model.Delivery, error) {
	return readDeliveries(ctx, db.NewRaw("select "+deliveryColumns+" from "+from, args...))
}

func readDeliveries(ctx context.Context, q *bun.RawQuery) ([]model.Delivery, error) {
	var rows []deliveryRow
	if err := q.Scan(ctx, &rows); err != nil {
		return nil, err
	}
	return column(rows, deliveryRow.model), nil
}

// Delivery reads a delivery. An id that names none is a KindNotFound error.
func (s *Store) Delivery(ctx context.Context, env model.EnvID, id model.DeliveryID) (model.Delivery, error) {
	list, err := s.deliveries(ctx, s.r, "where env_id = ? and id = ?", env, id)
	switch {
	case err != nil:
		return model.Delivery{}, s.fail("reading delivery", err)
	case len(list) == 0:
		return model.Delivery{}, errNoDelivery
	}
	return list[0], nil
}

var errNoDelivery = model.NotFound("names no delivery in this environment", "id")

// DeliveriesOf reads the deliveries of notifications, in the order in which
// they were made.
func (s *Store) DeliveriesOf(ctx context.Context, env model.EnvID, ids []model.NotificationID) ([]model.Delivery, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	list, err := readDeliveries(ctx, s.r.NewRaw(keys(env, ids)+"select "+deliveryColumns+` from k cross join deliveries d where d.env_id = of_env and d.notification_id = of_id
		order by d.notification_id, d.channel, d.created_at, d.id`))
	return list, s.fail("reading deliveries", err)
}

// ListDeliveries reads a page of the deliveries of an environment, newest
// first. The keys of its pages are CreatedAt and, as text, the id.
func (s *Store) ListDeliveries(ctx context.Context, env model.EnvID, f model.DeliveryFilter, page model.PageRequest) (model.Page[model.Delivery], error) {
	direction := "desc"
	if page.Backward {
		direction = "asc"
	}
	order := fmt.Sprintf(" order by d.created_at %s, d.id %[1]s limit %d", direction, page.Limit+1)
	from, args := deliveryPage(env, f, page)
	if len(f.States) > 1 && f.User == 0 && f.Send == 0 && f.Notification == 0 {
		from, args = eachState(env, f, page, order)
	}
	list, err := s.deliveriesFrom(ctx, s.r, from+order, args...)
	if err != nil {
		return model.Page[model.Delivery]{}, s.fail("listing deliveries", err)
	}
	out := model.Page[model.Delivery]{Items: list, HasMore: len(list) > page.Limit}
	if out.HasMore {
		out.Items = list[:page.Limit]
	}
	if page.Backward {
		slices.Reverse(out.Items)
	}
	return out, nil
}

// deliveryPage is what a page may hold, after FROM.
func deliveryPage(env model.EnvID, f model.DeliveryFilter, page model.PageRequest) (from string, args []any) {
	where := deliveryConditions(env, f)
	if k := page.After; k != nil {
		where.add("(d.created_at, d.id) < (?, ?)", micros(k.At), k.Text)
	}
	if k := page.Before; k != nil {
		where.add("(d.created_at, d.id) > (?, ?)", micros(k.At), k.Text)
	}
	return "deliveries d " + where.sql(), where.args
}

// eachState is deliveryPage with the first rows of each state by itself, of which
// the first are taken together: so indexes are walked in order, whichever states
// are asked for.
func eachState(env model.EnvID, f model.DeliveryFilter, page model.PageRequest, order string) (from string, args []any) {
	var parts []string
	for _, state := range slices.Compact(slices.Sorted(slices.Values(f.States))) {
		f.States = []model.DeliveryState{state}
		one, more := deliveryPage(env, f, page)
		parts = append(parts, "select * from (select d.* from "+one+order+") x")
		args = append(args, more...)
	}
	return "(" + strings.Join(parts, " union all ") + ") d", args
}

// statesCondition names the partial index of the states, which SQLite does not find
// out, or, of those that wait, the lanes of the environment.
func statesCondition(where *conditions, env model.EnvID, states []model.DeliveryState) {
	where.add("d.state in (?)", bun.List(column(states, func(s model.DeliveryState) int16 { return int16(s) })))
	if len(states) == 0 {
		return
	}
	switch first, last := slices.Min(states), slices.Max(states); {
	case first > model.DeliverySent:
		where.add("d.state >= 4")
	case last < model.DeliverySent:
		where.add("d.state <= 2 and d.lane between ? and ?", lane(env, 0), lane(env, 31))
	}
}

func deliveryConditions(env model.EnvID, f model.DeliveryFilter) conditions {
	where := conditions{}
	where.add("d.env_id = ?", env)
	if f.Notification != 0 {
		where.add("d.notification_id = ?", f.Notification)
	}
	if f.States != nil {
		statesCondition(&where, env, f.States)
	}
	if f.Channels != nil {
		where.add("d.channel in (?)", bun.List(column(f.Channels, func(c model.Channel) int16 { return int16(c) })))
	}
	if f.Provider != "" {
		where.add("d.provider_id = ?", f.Provider)
	}
	if f.User != 0 {
		// By way of the notifications, which have an index by user.
		where.add("d.user_id = ? and d.notification_id in (select n.id from notifications n where n.env_id = ? and n.user_id = ?)", f.User, env, f.User)
	}
	if f.Send != 0 {
		where.add("d.send_id = ? and d.notification_id in (select n.id from notifications n where n.env_id = ? and n.send_id = ?)", f.Send, env, f.Send)
	}
	if !f.Since.IsZero() {
		where.add("d.created_at >= ?", micros(f.Since))
	}
	if !f.Until.IsZero() {
		where.add("d.created_at < ?", micros(f.Until))
	}
	return where
}

// Attempts reads the attempts of deliveries, in their order.
func (s *Store) Attempts(ctx context.Context, env model.EnvID, ids []model.DeliveryID) (map[model.DeliveryID][]model.Attempt, error) {
	out := make(map[model.DeliveryID][]model.Attempt, len(ids))
	if len(ids) == 0 {
		return out, nil
	}
	var (
		a                     model.Attempt
		started, took, nextAt int64
		class                 int16
	)
	rows, err := s.r.QueryContext(ctx, `select delivery_id, n, provider_id, kind, started_at, took, class, status, message_id, answer, detail, next_at, edition
		from attempts where env_id = ? and delivery_id in (?) order by delivery_id, n`, env, bun.List(ids))
	err = scanEach(rows, err, []any{&a.Delivery, &a.N, &a.Provider, &a.Kind, &started, &took, &class, &a.Status, &a.MessageID, &a.Answer, &a.Detail, &nextAt, &a.Edition}, func() error {
		a.StartedAt, a.Took, a.Class, a.NextAt = at(started), time.Duration(took)*time.Microsecond, model.ErrorClass(class), atUnlessZero(nextAt)
		out[a.Delivery] = append(out[a.Delivery], a)
		return nil
	})
	return out, s.fail("reading attempts", err)
}

// RetryDelivery makes a delivery that waits, or has ended without being sent, due
// at once, with a schedule that begins anew. In another state it is a
// KindConflict error.
func (s *Store) RetryDelivery(ctx context.Context, env model.EnvID, o model.Once, id model.DeliveryID) (model.Outcome[model.Delivery], error) {
	return once(ctx, s, env, o, "retrying delivery", func(ctx context.Context, tx bun.Tx) (model.Delivery, error) {
		list, err := s.deliveries(ctx, tx, "where env_id = ? and id = ?"+s.dialect.forUpdate, env, id)
		if err != nil {
			return model.Delivery{}, err
		}
		if len(list) == 0 {
			return model.Delivery{}, errNoDelivery
		}
		if d := list[0]; d.State != model.DeliveryQueued && !slices.Contains(replayable, d.State) || d.Address == "" {
			return d, model.Conflict(fmt.Sprintf("names a delivery that is %s: only one that waits or is FAILED, UNKNOWN, EXPIRED, CANCELED or BOUNCED can be tried again", d.State), "id")
		}
		n, err := s.replayDeliveries(ctx, tx, append(slices.Clone(replayable), model.DeliveryQueued), "d.env_id = ? and d.id = ?", env, id)
		if err == nil && n == 0 {
			err = errors.New("the delivery is gone though its row is locked")
		}
		if err != nil {
			return model.Delivery{}, err
		}
		if list, err = s.deliveries(ctx, tx, "where env_id = ? and id = ?", env, id); err != nil {
			return model.Delivery{}, err
		}
		return list[0], nil
	})
}

// replayable are the states out of which a delivery can be tried again.
var replayable = []model.DeliveryState{
	model.DeliveryFailed, model.DeliveryUnknown, model.DeliveryExpired, model.DeliveryCanceled, model.DeliveryBounced,
}

// RetryDeliveries makes deliveries that have ended without being sent, or wait for
// another try, due again, the oldest first and at most model.MaxReplay of them, and
// returns how many. What waits for its first try waits for a reason, and goes on
// doing so.
func (s *Store) RetryDeliveries(ctx context.Context, env model.EnvID, o model.Once, f model.DeliveryFilter) (model.Outcome[int], error) {
	return once(ctx, s, env, o, "retrying deliveries", func(ctx context.Context, tx bun.Tx) (int, error) {
		if f.States == nil {
			f.States = []model.DeliveryState{model.DeliveryFailed}
		}
		where := deliveryConditions(env, f)
		ids := "select d.id from deliveries d " + where.sql() + " order by d.created_at, d.id limit ?" + s.dialect.skipLocked
		return s.replayDeliveries(ctx, tx, append(slices.Clone(replayable), model.DeliveryQueued),
			"(d.state <> 1 or d.attempt > 0) and d.env_id = ? and d.id in (select id from ("+ids+") x)", append(append([]any{env}, where.args...), model.MaxReplay)...)
	})
}

func (s *Store) replayDeliveries(ctx context.Context, tx bun.Tx, out []model.DeliveryState, where string, args ...any) (int, error) {
	clock, clockArgs := s.dialectNow()
	states := bun.List(column(out, func(s model.DeliveryState) int16 { return int16(s) }))
	res, err := tx.NewRaw(`update deliveries as d set state = 1, tries = 0, lost = 0, began_at = 0, unless = 0, detail = '', run_at = `+clock+`, updated_at = ?,
		expires_at = case when d.expires_at > ? then d.expires_at else 0 end
		where d.state in (?) and d.address <> '' and `+where,
		slices.Concat(clockArgs, []any{micros(s.now()), micros(s.now()), states}, args)...).Exec(ctx)
	if err != nil {
		return 0, err
	}
	n, err := res.RowsAffected()
	return int(n), err
}
