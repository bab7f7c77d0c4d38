package store

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"carillon/model"
)

// SendReplays looks up what stands under idempotency keys of sends, one entry
// for each key in its order.
func (s *Store) SendReplays(ctx context.Context, keys []model.ScopedOnce) ([]model.SendReplay, error) {
	out := make([]model.SendReplay, len(keys))
	if len(keys) == 0 {
		return out, nil
	}
	places := make([]int64, len(keys))
	for i := range keys {
		places[i] = int64(i)
	}
	wanted, args, _, err := s.dialect.table(1, places,
		column(keys, func(k model.ScopedOnce) int64 { return int64(k.Env) }),
		column(keys, func(k model.ScopedOnce) int64 { return int64(k.Once.Actor) }),
		column(keys, func(k model.ScopedOnce) string { return k.Once.Operation }),
		column(keys, func(k model.ScopedOnce) string { return k.Once.Key }),
	)
	if err != nil {
		return nil, err
	}
	stored := make([]string, len(keys))
	var (
		i      int
		hash   []byte
		result string
	)
	rows, err := s.query(ctx, `with k (place, env_id, actor, operation, key) as (`+wanted+`)
		select k.place, i.hash, i.result from k cross join idempotency i
		where i.env_id = k.env_id and i.actor = k.actor and i.operation = k.operation and i.key = k.key`, args...)
	err = scanEach(rows, err, []any{&i, &hash, &result}, func() error {
		if !bytes.Equal(hash, keys[i].Once.Hash[:]) {
			out[i].Err = errKeyReused()
		} else {
			stored[i] = result
		}
		return nil
	})
	if err != nil {
		return nil, s.fail("reading idempotency keys", err)
	}
	for i, result := range stored {
		if result == "" {
			continue
		}
		if out[i].Result, err = s.decodeResult(ctx, keys[i].Env, result); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// decodeResult is the inverse of encodeResult.
func (s *Store) decodeResult(ctx context.Context, env model.EnvID, stored string) (*model.SendResult, error) {
	r := new(model.SendResult)
	if err := json.Unmarshal([]byte(stored), r); err != nil {
		return nil, fmt.Errorf("decoding stored result: %w", err)
	}
	if r.Send != nil {
		found, err := s.Sends(ctx, env, []model.SendID{r.Send.ID})
		if err != nil {
			return nil, err
		}
		r.Send.Content = found[r.Send.ID].Content // empty when the send is no longer kept
	}
	return r, nil
}
