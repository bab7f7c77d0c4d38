package store

import (
	"context"

	"github.com/uptrace/bun"

	"carillon/model"
)

// hasDetails reports whether something goes with a send that has a table of its
// own: files, or recipients who were left out.
func hasDetails(p model.PendingSend) bool {
	return len(p.Attachments) > 0 || len(p.Result.Skipped) > 0
}

// saveDetails writes what goes with sends that were just written.
func saveDetails(ctx context.Context, tx bun.IDB, sends []*model.PendingSend) error {
	var skips values
	for _, p := range sends {
		for _, s := range p.Result.Skipped {
			skips.row(p.Send.EnvID, p.Send.ID, s.Identifier, s.Reason)
		}
	}
	if err := insertSkips(ctx, tx, skips); err != nil {
		return err
	}
	for _, p := range sends {
		for i, a := range p.Attachments {
			_, err := tx.NewRaw("insert into send_attachments (env_id, send_id, position, name, content_type, key, content) values (?, ?, ?, ?, ?, ?, ?)",
				p.Send.EnvID, p.Send.ID, i, a.Name, a.ContentType, a.Key, a.Content).Exec(ctx)
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// insertSkips lists recipients as left out. Who goes by an identifier by now that
// named nobody when the send was accepted is listed already.
func insertSkips(ctx context.Context, tx bun.IDB, skips values) error {
	if skips.empty() {
		return nil
	}
	_, err := tx.NewRaw("insert into send_skips (env_id, send_id, identifier, reason) values "+skips.String()+" on conflict do nothing", skips.args...).Exec(ctx)
	return err
}

// Attachments reads the files that go with a send, in their order.
func (s *Store) Attachments(ctx context.Context, env model.EnvID, send model.SendID) ([]model.Attachment, error) {
	var rows []model.Attachment
	err := s.r.NewRaw("select name, content_type, key, content from send_attachments where env_id = ? and send_id = ? order by position", env, send).Scan(ctx, &rows)
	return rows, s.fail("reading attachments", err)
}

// Skipped reads whom sends left out and why, in the order of identifiers.
func (s *Store) Skipped(ctx context.Context, env model.EnvID, sends []model.SendID) (map[model.SendID][]model.Skipped, error) {
	if len(sends) == 0 {
		return nil, nil
	}
	var rows []struct {
		SendID     model.SendID
		Identifier string
		Reason     model.Reason
	}
	err := s.r.NewRaw("select send_id, identifier, reason from send_skips where env_id = ? and send_id in (?) order by send_id, identifier", env, bun.List(sends)).Scan(ctx, &rows)
	if err != nil {
		return nil, s.fail("reading who was skipped", err)
	}
	out := make(map[model.SendID][]model.Skipped, len(sends))
	for _, r := range rows {
		out[r.SendID] = append(out[r.SendID], model.Skipped{Identifier: r.Identifier, Reason: r.Reason})
	}
	return out, nil
}
