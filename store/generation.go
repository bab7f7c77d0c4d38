package store

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// generation tells connections to PostgreSQL that were made before something
// went wrong from those made after. When one of them turns out to be of no use,
// the others of its generation are likely to be as well: all lead to the server
// that was demoted, or nowhere. Each would cost a request to find out; so none
// of them is used again.
type generation struct {
	number  atomic.Int64
	renewed atomic.Int64 // when; nanoseconds since 1970
}

// renewEvery is how often at most a generation ends, since a database that does
// not answer in time may also be just slow.
const renewEvery = time.Second

// renew ends the present generation.
func (g *generation) renew() {
	now := time.Now().UnixNano()
	last := g.renewed.Load()
	if now-last >= int64(renewEvery) && g.renewed.CompareAndSwap(last, now) {
		g.number.Add(1)
	}
}

// generationKey is where a connection keeps the number of its generation.
const generationKey = "generation"

// born notes the generation of a new connection.
func (g *generation) born(_ context.Context, c *pgx.Conn) error {
	c.PgConn().CustomData()[generationKey] = g.number.Load()
	return nil
}

// shouldPing is asked before a connection is used again, and says whether it is
// to be tried first. One of an earlier generation is closed, without the usual
// words that might wait for an answer, so that the trial fails at once.
func (g *generation) shouldPing(_ context.Context, p stdlib.ShouldPingParams) bool {
	c := p.Conn.PgConn()
	if c.CustomData()[generationKey] != g.number.Load() {
		_ = c.Conn().Close() // it is of no use
		return true
	}
	return p.IdleDuration > time.Second // as is usual
}
