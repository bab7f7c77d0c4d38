package store

import (
	"context"
	"database/sql"
	"sync"
)

// prepared keeps the statements of the hot reads, which the databases plan
// once a connection instead of once a call: of an inbox query's time on
// PostgreSQL, planning would be the larger half. Their parameters are numbered
// ($1), which both databases accept, and there are few different texts: what
// is put together from lists is not for here.
type prepared struct {
	mu     sync.RWMutex
	byText map[string]*sql.Stmt
}

// statement prepares text for reading outside of a transaction, or finds it.
func (s *Store) statement(ctx context.Context, text string) (*sql.Stmt, error) {
	p := &s.prepared
	p.mu.RLock()
	stmt := p.byText[text]
	p.mu.RUnlock()
	if stmt != nil {
		return stmt, nil
	}
	// Not under the lock: a database that hangs would have one wait for the
	// other, each beyond its own deadline.
	stmt, err := s.r.DB.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if first := p.byText[text]; first != nil {
		_ = stmt.Close() //nolint:sqlclosecheck // another caller was quicker; the one that is kept stays open
		return first, nil
	}
	if p.byText == nil {
		p.byText = make(map[string]*sql.Stmt)
	}
	p.byText[text] = stmt
	return stmt, nil
}

// query runs a prepared statement.
func (s *Store) query(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	stmt, err := s.statement(ctx, text) //nolint:sqlclosecheck // it is kept
	if err != nil {
		return nil, err
	}
	return stmt.QueryContext(ctx, args...)
}
