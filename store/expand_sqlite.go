package store

import (
	"context"

	"github.com/uptrace/bun"

	"carillon/model"
)

// saveChunkInSteps writes a chunk, if its send is where the chunk begins, table
// by table.
func (s *Store) saveChunkInSteps(ctx context.Context, c model.Chunk, pending []*model.PendingSend) (saved bool, moved []movedInbox, err error) {
	rows, err := s.saveRows(pending)
	if err != nil {
		return false, nil, err
	}
	m, p := c.Send, c.Send.Progress
	err = s.write(ctx, "saving a chunk", func(ctx context.Context, tx bun.Tx) error {
		res, err := tx.NewRaw(`update sends set status = ?, audience = case when ? = 'EXPANDING' then audience end,
				reached = ?, total = ?, done = ?, skipped = ?, failed = ?
			where env_id = ? and id = ? and status = 'EXPANDING' and reached = ?`,
			m.Status, m.Status, c.Reached, p.Total, p.Done, p.Skipped, p.Failed, m.EnvID, m.ID, c.After).Exec(ctx)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return err
		}
		saved = true
		if moved, err = saveInSteps(ctx, tx, rows); err != nil {
			return err
		}
		return s.insertDeliveries(ctx, tx, c.Deliveries)
	})
	return saved, moved, err
}
