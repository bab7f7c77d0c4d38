package user

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"time"

	"carillon/model"
)

// exportPage is how many rows of a kind an export holds at once.
const exportPage = 100

// Export writes all that is held about one user, as one JSON object, and holds
// a page of it at most: profile, addresses and devices without tokens, choices,
// topics, segments, accounts, former identifiers, merges, events, notifications with what
// they say and what was filled in there, and deliveries with their attempts. It begins to write when the user
// was found; an error after that leaves the object unfinished.
func (s *Service) Export(ctx context.Context, env model.EnvID, identifier string, w io.Writer) error {
	u, err := s.Find(ctx, env, identifier)
	if err != nil {
		return err
	}
	e := exporting{s: s, u: u, w: bufio.NewWriterSize(w, 32<<10)}
	for _, part := range []struct {
		name  string
		write func(context.Context) error
	}{
		{"user", e.user},
		{"formerIdentifiers", e.formerIdentifiers},
		{"addresses", e.addresses},
		{"devices", e.devices},
		{"preferences", e.preferences},
		{"topics", e.topics},
		{"segments", e.segments},
		{"accounts", e.accounts},
		{"merges", e.merges},
		{"events", e.events},
		{"notifications", e.notifications},
		{"deliveries", e.deliveries},
	} {
		e.member(part.name)
		if err := errors.Join(part.write(ctx), e.err); err != nil {
			return err
		}
	}
	e.text("}\n")
	return errors.Join(e.err, e.w.Flush())
}

// ExportLimited is [Service.Export] as a whole. What would be larger than so many
// bytes is a KindLimit error.
func (s *Service) ExportLimited(ctx context.Context, env model.EnvID, identifier string, most int) ([]byte, error) {
	out := limited{most: most}
	err := s.Export(ctx, env, identifier, &out)
	return out.b, err
}

// limited is bytes up to a number.
type limited struct {
	b    []byte
	most int
}

func (l *limited) Write(p []byte) (int, error) {
	if len(l.b)+len(p) > l.most {
		return 0, model.Errorf(model.KindLimit, "there is more than %d bytes of this user: download it from /export/users/{identifier}.json", l.most)
	}
	l.b = append(l.b, p...)
	return len(p), nil
}

// exporting is one export of one user.
type exporting struct {
	s     *Service
	u     model.User
	w     *bufio.Writer
	begun bool
	err   error // of writing
}

func (e *exporting) text(s string) {
	if e.err == nil {
		_, e.err = e.w.WriteString(s)
	}
}

func (e *exporting) member(name string) {
	if e.begun {
		e.text(",\n")
	} else {
		e.text("{")
	}
	e.begun = true
	e.text(`"` + name + `": `)
}

func (e *exporting) value(v any) error {
	b, err := model.EncodeJSON(v)
	if err != nil {
		return err
	}
	e.text(string(b))
	return nil
}

// list writes pages as one array: page gives one, and the key of its last row
// when there is more.
func (e *exporting) list(page func(after *model.PageKey) (rows []any, next *model.PageKey, err error)) error {
	e.text("[")
	for after, first := (*model.PageKey)(nil), true; ; {
		rows, next, err := page(after)
		if err != nil {
			return err
		}
		for _, r := range rows {
			if !first {
				e.text(",")
			}
			first = false
			e.text("\n  ")
			if err := e.value(r); err != nil {
				return err
			}
		}
		if e.err != nil {
			return e.err
		}
		if after = next; next == nil {
			break
		}
	}
	e.text("]")
	return nil
}

// all writes rows that are few.
func (e *exporting) all(rows []any) error {
	return e.list(func(*model.PageKey) ([]any, *model.PageKey, error) { return rows, nil, nil })
}

type exportedUser struct {
	Identifier string          `json:"identifier"`
	Assigned   bool            `json:"identifierAssigned"`
	Enabled    bool            `json:"enabled"`
	Kind       model.UserKind  `json:"kind"`
	Archived   bool            `json:"archived"`
	Version    int64           `json:"version"`
	Profile    json.RawMessage `json:"profile"`
	SignedUpAt time.Time       `json:"signedUpAt"`
	CreatedAt  time.Time       `json:"createdAt"`
	UpdatedAt  time.Time       `json:"updatedAt"`
	LastSeenAt *time.Time      `json:"lastSeenAt"`
}

func (e *exporting) user(context.Context) error {
	u := e.u
	return e.value(exportedUser{
		u.Identifier, !u.Unassigned, u.Enabled, u.Kind, u.Archived, u.Profile.Version, u.Profile.Attributes, u.SignedUpAt, u.CreatedAt, u.UpdatedAt, unlessZero(u.LastSeenAt),
	})
}

func (e *exporting) formerIdentifiers(ctx context.Context) error {
	names, err := e.s.Store.FormerIdentifiers(ctx, e.u.EnvID, e.u.ID)
	if err != nil {
		return err
	}
	return e.value(names)
}

// exportedAddress is an address; those of the profile have no times of their own.
type exportedAddress struct {
	Channel    string    `json:"channel"`
	Address    string    `json:"address"`
	Enabled    bool      `json:"enabled"`
	CreatedAt  time.Time `json:"createdAt,omitzero"`
	LastUsedAt time.Time `json:"lastUsedAt,omitzero"`
}

// addresses are those that were added and those of the profile; the tokens of
// devices are secrets, and what is known of these is among the devices.
func (e *exporting) addresses(ctx context.Context) error {
	ref := model.UserRef{Env: e.u.EnvID, ID: e.u.ID}
	found, err := e.s.Store.Addresses(ctx, []model.UserRef{ref})
	if err != nil {
		return err
	}
	var rows []any
	for _, a := range found[ref] {
		if a.DeviceID == "" && a.Channel != model.ChannelMobilePush && a.Channel != model.ChannelWebPush {
			rows = append(rows, exportedAddress{a.Channel.String(), a.Value, a.Enabled, a.CreatedAt, a.LastUsedAt})
		}
	}
	return e.all(rows)
}

type exportedDevice struct {
	Key        string    `json:"deviceId"`
	Platform   string    `json:"platform"`
	Browser    string    `json:"browser"`
	CanPush    bool      `json:"canPush"`
	Enabled    bool      `json:"enabled"`
	CreatedAt  time.Time `json:"createdAt"`
	LastUsedAt time.Time `json:"lastUsedAt"`
}

func (e *exporting) devices(ctx context.Context) error {
	all, err := e.s.Store.Devices(ctx, e.u.EnvID, e.u.ID)
	if err != nil {
		return err
	}
	var rows []any
	for _, d := range all {
		rows = append(rows, exportedDevice{d.Key, string(d.Platform), d.Browser, d.Token != "" || d.WebPush != nil, d.Enabled, d.CreatedAt, d.LastUsedAt})
	}
	return e.all(rows)
}

type exportedChoice struct {
	Category  string    `json:"category,omitempty"`
	Channel   string    `json:"channel,omitempty"`
	Enabled   bool      `json:"enabled"`
	UpdatedAt time.Time `json:"updatedAt"`
}

func (e *exporting) preferences(ctx context.Context) error {
	choices, err := e.s.Store.Choices(ctx, e.u.EnvID, e.u.ID)
	if err != nil {
		return err
	}
	categories, err := e.s.Store.Categories(ctx, e.u.EnvID)
	if err != nil {
		return err
	}
	names := map[model.CategoryID]string{}
	for _, c := range categories {
		names[c.ID] = c.Identifier
	}
	var rows []any
	for _, c := range choices {
		row := exportedChoice{Category: names[c.Category], Enabled: c.Enabled, UpdatedAt: c.UpdatedAt}
		if c.Channel != 0 {
			row.Channel = c.Channel.String()
		}
		rows = append(rows, row)
	}
	return e.all(rows)
}

type exportedTopic struct {
	Topic      string    `json:"topic"`
	Channels   []string  `json:"channels,omitempty"` // none: all
	Subscribed bool      `json:"subscribed"`
	CreatedAt  time.Time `json:"createdAt"`
}

func (e *exporting) topics(ctx context.Context) error {
	found, err := e.s.Store.TopicsOfUsers(ctx, e.u.EnvID, []model.UserID{e.u.ID})
	if err != nil {
		return err
	}
	var rows []any
	for _, t := range found[e.u.ID] {
		rows = append(rows, exportedTopic{t.Topic.Identifier, t.Channels, t.Subscribed, t.CreatedAt})
	}
	return e.all(rows)
}

type exportedSegment struct {
	Segment    string `json:"segment"`
	Member     bool   `json:"member"`
	Suppressed bool   `json:"suppressed"`
}

func (e *exporting) segments(ctx context.Context) error {
	found, err := e.s.Store.SegmentsOfUsers(ctx, e.u.EnvID, []model.UserID{e.u.ID})
	if err != nil {
		return err
	}
	var rows []any
	for _, m := range found[e.u.ID] {
		s, err := e.s.Store.SegmentByID(ctx, e.u.EnvID, m.Segment)
		if model.KindOf(err) == model.KindNotFound {
			continue // deleted since
		}
		if err != nil {
			return err
		}
		rows = append(rows, exportedSegment{s.Identifier, m.Member, m.Suppressed})
	}
	return e.all(rows)
}

type exportedMembership struct {
	Account   string    `json:"account"`
	Role      string    `json:"role,omitempty"`
	CreatedAt time.Time `json:"createdAt"`
}

func (e *exporting) accounts(ctx context.Context) error {
	found, err := e.s.Store.Memberships(ctx, e.u.EnvID, []model.UserID{e.u.ID})
	if err != nil {
		return err
	}
	all := found[e.u.ID]
	ids := make([]model.UserID, len(all))
	for i, m := range all {
		ids[i] = m.Account
	}
	accounts, err := e.s.ByIDs(ctx, e.u.EnvID, ids)
	if err != nil {
		return err
	}
	var rows []any
	for _, m := range all {
		rows = append(rows, exportedMembership{accounts[m.Account].Identifier, m.Role, m.CreatedAt})
	}
	return e.all(rows)
}

type exportedMerge struct {
	From      string    `json:"from"`
	CreatedAt time.Time `json:"createdAt"`
}

func (e *exporting) merges(ctx context.Context) error {
	all, err := e.s.Store.Merges(ctx, e.u.EnvID, e.u.ID)
	if err != nil {
		return err
	}
	var rows []any
	for _, m := range all {
		rows = append(rows, exportedMerge{m.From, m.CreatedAt})
	}
	return e.all(rows)
}
