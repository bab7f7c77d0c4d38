package rest

import (
	"context"
	"sync"
	"time"

	"carillon/model"
)

// maxTransfers is how many transfers of an environment a process has under way.
const maxTransfers = 4

// transfers counts those that are under way.
type transfers struct {
	mu   sync.Mutex
	envs map[model.EnvID]int
}

// begin takes part in what an environment may transfer until ctx is done. What
// is too much is a KindRateLimited error.
func (t *transfers) begin(ctx context.Context, env model.EnvID) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.envs[env] >= maxTransfers {
		return &model.Error{
			Kind: model.KindRateLimited, RetryAfter: 10 * time.Second,
			Message: "four uploads and downloads of this environment are under way; come again when one of them has ended",
		}
	}
	if t.envs == nil {
		t.envs = map[model.EnvID]int{}
	}
	t.envs[env]++
	context.AfterFunc(ctx, func() { t.end(env) })
	return nil
}

func (t *transfers) end(env model.EnvID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.envs[env]--; t.envs[env] == 0 {
		delete(t.envs, env)
	}
}
