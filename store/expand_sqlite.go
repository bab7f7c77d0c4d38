package store

import (
	"context"

	"github.com/uptrace/bun"

	"carillon/model"
)

// insertChunkInSteps writes the notifications of a chunk table by table.
func (s *Store) insertChunkInSteps(ctx context.Context, tx bun.IDB, p *model.PendingSend) ([]movedInbox, error) {
	rows, err := s.saveRows([]*model.PendingSend{p})
	if err != nil {
		return nil, err
	}
	return saveInSteps(ctx, tx, rows)
}
