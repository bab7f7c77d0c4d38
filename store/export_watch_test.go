package store

import (
	"context"

	"github.com/uptrace/bun"
)

// Watch tells of every statement that is read with from now on.
func Watch(s *Store, seen func(query string)) {
	s.r = s.r.WithQueryHook(watching(seen))
}

type watching func(query string)

func (watching) BeforeQuery(ctx context.Context, _ *bun.QueryEvent) context.Context { return ctx }

func (w watching) AfterQuery(_ context.Context, e *bun.QueryEvent) { w(e.Query) }
