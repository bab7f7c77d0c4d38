package store

import (
	"cmp"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"

	"carillon/model"
)

// saveRows is what saving sends writes, in the order in which it is locked.
type saveRows struct {
	keys          []keyRow
	sends         []sendRow
	inboxes       []inboxStep
	notifications []*model.Notification // their seq is that of their inbox
}

// keyRow is an idempotency key with its result.
type keyRow struct {
	env    model.EnvID
	once   model.Once
	result string
	at     int64
}

// inboxKey names an inbox.
type inboxKey struct {
	env  model.EnvID
	user model.UserID
}

func (k inboxKey) compare(o inboxKey) int {
	return cmp.Or(cmp.Compare(k.env, o.env), cmp.Compare(k.user, o.user))
}

// inboxStep is an inbox with how many notifications enter it. With none it is
// locked all the same: the lock, and the foreign key of its row, keep the user
// from being deleted in between.
type inboxStep struct {
	inboxKey
	added int64
}

// step is by how much the inbox's seq moves.
func (i inboxStep) step() int64 { return min(i.added, 1) }

// movedInbox is where an inbox stands afterwards.
type movedInbox struct {
	inboxKey
	seq      int64
	counters model.Counters
}

// saveRows lays out what is to be written of the sends. Keys and inboxes are
// in key order, so that transactions with the same ones wait for each other
// and do not deadlock.
func (s *Store) saveRows(sends []*model.PendingSend) (*saveRows, error) {
	rows := new(saveRows)
	added := make(map[inboxKey]int64)
	for _, p := range sends {
		if p.Once.Set() {
			result, err := encodeResult(p.Result)
			if err != nil {
				return nil, err
			}
			rows.keys = append(rows.keys, keyRow{p.Send.EnvID, p.Once, result, micros(s.now())})
		}
		if !p.Fire {
			r, err := newSendRow(p)
			if err != nil {
				return nil, err
			}
			rows.sends = append(rows.sends, r)
		}
		for i := range p.Notifications {
			n := &p.Notifications[i]
			rows.notifications = append(rows.notifications, n)
			k := inboxKey{n.EnvID, n.UserID}
			if n.InInbox {
				added[k]++
			} else {
				added[k] += 0
			}
		}
	}
	for k, n := range added {
		rows.inboxes = append(rows.inboxes, inboxStep{k, n})
	}
	slices.SortFunc(rows.inboxes, func(a, b inboxStep) int { return a.compare(b.inboxKey) })
	slices.SortFunc(rows.keys, func(a, b keyRow) int {
		return cmp.Or(cmp.Compare(a.env, b.env), cmp.Compare(a.once.Actor, b.once.Actor),
			cmp.Compare(a.once.Operation, b.once.Operation), cmp.Compare(a.once.Key, b.once.Key))
	})
	return rows, nil
}

func newSendRow(p *model.PendingSend) (sendRow, error) {
	m := p.Send
	r := sendRow{
		EnvID: m.EnvID, ID: m.ID, RequestID: m.RequestID, Status: m.Status, CategoryID: m.CategoryID,
		SendAt: nullMicros(m.SendAt), FiredAt: nullMicros(m.FiredAt), ExpiresAt: nullMicros(m.ExpiresAt), CreatedAt: micros(m.CreatedAt),
		Total: m.Progress.Total, Done: m.Progress.Done, Skipped: m.Progress.Skipped, Failed: m.Progress.Failed,
	}
	var err error
	if r.Title, r.Content, err = encodeContent(m.Content); err != nil {
		return r, err
	}
	if r.Channels, err = nullJSON(m.Channels); err != nil {
		return r, fmt.Errorf("encoding channels: %w", err)
	}
	if p.Audience != nil {
		b, err := json.Marshal(p.Audience)
		if err != nil {
			return r, fmt.Errorf("encoding audience: %w", err)
		}
		r.Audience = sql.NullString{String: string(b), Valid: true}
	}
	return r, nil
}

// encodeResult gives what is remembered of a result: all of it but the
// content, which the send's row has.
func encodeResult(r model.SendResult) (string, error) {
	if r.Send != nil {
		bare := *r.Send
		bare.Content = model.Content{}
		r.Send = &bare
	}
	b, err := json.Marshal(r)
	if err != nil {
		return "", fmt.Errorf("encoding result: %w", err)
	}
	return string(b), nil
}

// nullJSON stores a nil list as null.
func nullJSON[T any](list []T) (sql.NullString, error) {
	if list == nil {
		return sql.NullString{}, nil
	}
	b, err := json.Marshal(list)
	return sql.NullString{String: string(b), Valid: true}, err
}
