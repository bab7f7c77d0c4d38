package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/uptrace/bun"

	"carillon/model"
)

type sendRow struct {
	EnvID      model.EnvID
	ID         model.SendID
	RequestID  string
	Status     model.SendStatus
	Title      string
	Content    string
	CategoryID model.CategoryID
	Channels   sql.NullString
	Audience   sql.NullString
	SendAt     sql.NullInt64
	FiredAt    sql.NullInt64
	ExpiresAt  sql.NullInt64
	CreatedAt  int64
	Total      int64
	Done       int64
	Skipped    int64
	Failed     int64
	RecalledAt sql.NullInt64
}

// sendColumns is what a sendRow holds but the audience, which only firing
// and expanding need.
const sendColumns = "env_id, id, request_id, status, title, content, category_id, channels, send_at, fired_at, expires_at, created_at, total, done, skipped, failed, recalled_at"

func (r sendRow) model() (model.Send, error) {
	m := model.Send{
		ID: r.ID, EnvID: r.EnvID, RequestID: r.RequestID, Status: r.Status, CategoryID: r.CategoryID,
		SendAt: nullAt(r.SendAt), FiredAt: nullAt(r.FiredAt), ExpiresAt: nullAt(r.ExpiresAt), CreatedAt: at(r.CreatedAt), RecalledAt: nullAt(r.RecalledAt),
		Progress: model.SendProgress{Total: r.Total, Done: r.Done, Skipped: r.Skipped, Failed: r.Failed},
	}
	content, err := decodeContent(r.Title, r.Content)
	if err != nil {
		return m, fmt.Errorf("send %d: %w", r.ID, err)
	}
	m.Content = *content
	if r.Channels.Valid {
		if err := json.Unmarshal([]byte(r.Channels.String), &m.Channels); err != nil {
			return m, fmt.Errorf("decoding channels of send %d: %w", r.ID, err)
		}
	}
	return m, nil
}

// audience is who the send goes to yet.
func (r sendRow) audience() (a model.Audience, err error) {
	if !r.Audience.Valid {
		return a, nil
	}
	if err := json.Unmarshal([]byte(r.Audience.String), &a); err != nil {
		return a, fmt.Errorf("decoding audience of send %d: %w", r.ID, err)
	}
	return a, nil
}

// Send reads a send. An id that names none is a KindNotFound error.
func (s *Store) Send(ctx context.Context, env model.EnvID, id model.SendID) (model.Send, error) {
	found, err := s.Sends(ctx, env, []model.SendID{id})
	if err != nil {
		return model.Send{}, err
	}
	m, ok := found[id]
	if !ok {
		return m, model.NotFound("names no send", "id")
	}
	return m, nil
}

// Sends reads sends by id. Ids that name none are left out.
func (s *Store) Sends(ctx context.Context, env model.EnvID, ids []model.SendID) (map[model.SendID]model.Send, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	list, err := readSends(ctx, s.r.NewRaw(keys(env, ids)+"select "+sendColumns+" from k cross join sends where env_id = of_env and id = of_id"))
	if err != nil {
		return nil, s.fail("reading sends", err)
	}
	out := make(map[model.SendID]model.Send, len(list))
	for _, m := range list {
		out[m.ID] = m
	}
	return out, nil
}

// ListSends reads a page of an environment's sends, newest first.
func (s *Store) ListSends(ctx context.Context, env model.EnvID, f model.SendFilter, page model.PageRequest) (model.Page[model.Send], error) {
	where := conditions{}
	where.add("env_id = ?", env)
	if f.Statuses != nil {
		where.add("status in (?)", bun.List(f.Statuses))
	}
	if f.Categories != nil {
		where.add("category_id in (?)", bun.List(f.Categories))
	}
	return s.sendPage(ctx, where, "created_at", false, page)
}

// ListScheduledSends reads a page of the sends that wait for their time, next
// first. The time of its page keys is SendAt.
func (s *Store) ListScheduledSends(ctx context.Context, env model.EnvID, page model.PageRequest) (model.Page[model.Send], error) {
	where := conditions{}
	where.add("env_id = ?", env)
	where.add("status = 'SCHEDULED'")
	return s.sendPage(ctx, where, "send_at", true, page)
}

// sendPage reads a page in the order of (column, id).
func (s *Store) sendPage(ctx context.Context, where conditions, column string, ascending bool, page model.PageRequest) (model.Page[model.Send], error) {
	beyond, before := "<", ">"
	if ascending {
		beyond, before = ">", "<"
	}
	if k := page.After; k != nil {
		where.add("("+column+", id) "+beyond+" (?, ?)", micros(k.At), k.ID)
	}
	if k := page.Before; k != nil {
		where.add("("+column+", id) "+before+" (?, ?)", micros(k.At), k.ID)
	}
	direction := "desc"
	if ascending != page.Backward {
		direction = "asc"
	}
	list, err := s.sends(ctx, s.r, fmt.Sprintf("%s order by %s %s, id %[3]s limit %d", where.sql(), column, direction, page.Limit+1), where.args...)
	if err != nil {
		return model.Page[model.Send]{}, s.fail("listing sends", err)
	}
	out := model.Page[model.Send]{Items: list, HasMore: len(list) > page.Limit}
	if out.HasMore {
		out.Items = list[:page.Limit]
	}
	if page.Backward {
		slices.Reverse(out.Items)
	}
	return out, nil
}

func (s *Store) sends(ctx context.Context, db bun.IDB, rest string, args ...any) ([]model.Send, error) {
	return readSends(ctx, db.NewRaw("select "+sendColumns+" from sends "+rest, args...))
}

// holdSend reads a send and locks its row, so that nobody else changes it, and no
// upper half of a chunk of it is under way. An id that names none is a
// KindNotFound error.
func (s *Store) holdSend(ctx context.Context, tx bun.Tx, env model.EnvID, id model.SendID) (model.Send, error) {
	list, err := s.sends(ctx, tx, "where env_id = ? and id = ?"+s.dialect.forUpdate, env, id)
	if err != nil {
		return model.Send{}, err
	}
	if len(list) == 0 {
		return model.Send{}, model.NotFound("names no send", "id")
	}
	return list[0], nil
}

func readSends(ctx context.Context, q *bun.RawQuery) ([]model.Send, error) {
	var rows []sendRow
	if err := q.Scan(ctx, &rows); err != nil {
		return nil, err
	}
	out := make([]model.Send, len(rows))
	for i, r := range rows {
		var err error
		if out[i], err = r.model(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// conditions builds a WHERE clause of things that must all hold.
type conditions struct {
	terms []string
	args  []any
}

func (c *conditions) add(term string, args ...any) {
	c.terms = append(c.terms, term)
	c.args = append(c.args, args...)
}

func (c *conditions) sql() string { return "where " + strings.Join(c.terms, " and ") }
