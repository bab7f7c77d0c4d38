package store

import (
	"context"
	"fmt"

	"carillon/model"
)

// saveInSteps writes a chunk and how far its send has come, table by table.
func (e *expansion) saveInSteps(ctx context.Context, list []model.Notification) ([]movedInbox, error) {
	rows, err := e.s.saveRows(e.pending(list))
	if err != nil {
		return nil, err
	}
	moved, err := saveInSteps(ctx, e.tx, rows)
	if err != nil {
		return nil, err
	}
	m, p := e.send, e.send.Progress
	_, err = e.tx.NewRaw(`update sends set status = ?, audience = case when ? = 'EXPANDING' then audience end, reached = ?, total = ?, done = ?, skipped = ?, failed = ?
		where env_id = ? and id = ?`, m.Status, m.Status, e.reached, p.Total, p.Done, p.Skipped, p.Failed, m.EnvID, m.ID).Exec(ctx)
	if err != nil {
		return nil, fmt.Errorf("noting progress: %w", err)
	}
	return moved, nil
}
