package user

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"carillon/model"
)

// attributeColumn is what the names of columns with attributes begin with.
const attributeColumn = "attributes."

// ExportCSV writes all users of an environment, in the order in which they were
// made, as CSV with a header: identifier, the well-known attributes, enabled,
// userKind, createdAt, signedUpAt, topics, and a column attributes.NAME for every other
// property of the environment. It holds a page of users at most. A cell that a
// spreadsheet would take for a formula has a ' in front.
func (s *Service) ExportCSV(ctx context.Context, env model.EnvID, w io.Writer) error {
	properties, err := s.Store.Properties(ctx, env)
	if err != nil {
		return err
	}
	known := model.WellKnownAttributes()
	header := slices.Concat([]string{"identifier"}, known, []string{"enabled", "userKind", "createdAt", "signedUpAt", "topics"})
	names := slices.Clone(known)
	for _, p := range properties {
		if !slices.Contains(known, p.Name) {
			names, header = append(names, p.Name), append(header, plainCell(attributeColumn+p.Name))
		}
	}
	out := csv.NewWriter(w)
	if err := out.Write(header); err != nil {
		return err
	}
	for page := (model.PageRequest{Limit: exportPage}); ; {
		users, err := s.Store.ListUsers(ctx, env, model.UserFilter{}, model.UserOrder{By: model.ByID, Ascending: true}, page)
		if err != nil {
			return err
		}
		if err := s.csvRows(ctx, env, out, users.Items, names, len(known)); err != nil {
			return err
		}
		next := nextKey(users, func(u model.User) model.PageKey { return model.PageKey{ID: int64(u.ID)} })
		if next == nil {
			out.Flush()
			return out.Error()
		}
		page.After = next
	}
}

func (s *Service) csvRows(ctx context.Context, env model.EnvID, out *csv.Writer, users []model.User, names []string, known int) error {
	ids := make([]model.UserID, len(users))
	for i, u := range users {
		ids[i] = u.ID
	}
	topics, err := s.Store.TopicsOfUsers(ctx, env, ids)
	if err != nil {
		return err
	}
	for _, u := range users {
		var p map[string]json.RawMessage
		if err := json.Unmarshal(u.Profile.Attributes, &p); err != nil {
			return err
		}
		row := []string{plainCell(u.Identifier)}
		for _, name := range names[:known] {
			row = append(row, cell(p[name]))
		}
		row = append(row, strconv.FormatBool(u.Enabled), string(u.Kind), u.CreatedAt.Format(time.RFC3339), u.SignedUpAt.Format(time.RFC3339), topicCell(topics[u.ID]))
		for _, name := range names[known:] {
			row = append(row, cell(p[name]))
		}
		if err := out.Write(row); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// topicCell is the topics that a user is subscribed to, with semicolons between.
func topicCell(all []model.TopicSubscription) string {
	var names []string
	for _, t := range all {
		if t.Subscribed {
			names = append(names, t.Topic.Identifier)
		}
	}
	return plainCell(strings.Join(names, ";"))
}

// cell is an attribute as a cell: text as it is, anything else as JSON.
func cell(value json.RawMessage) string {
	if len(value) == 0 {
		return ""
	}
	var text string
	if json.Unmarshal(value, &text) == nil {
		return plainCell(text)
	}
	return plainCell(string(value))
}

// plainCell puts a ' before what a spreadsheet would take for a formula.
func plainCell(s string) string {
	if isFormula(s) {
		return "'" + s
	}
	return s
}

// isFormula reports whether a spreadsheet would take a cell for a formula, or did
// before there were ' in front: one is put there, and taken away, all the same.
func isFormula(s string) bool {
	s = strings.TrimLeft(s, "'")
	return s != "" && strings.ContainsRune("=+-@\t\r\n|", rune(s[0]))
}
