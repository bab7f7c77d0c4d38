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
	var list values
	for i, k := range keys {
		list.row(i, k.Env, k.Once.Actor, k.Once.Operation, k.Once.Key)
	}
	var rows []struct {
		N      int
		Hash   []byte
		Result string
	}
	err := s.r.NewRaw(`with k (n, env_id, actor, operation, key) as (values `+list.String()+`)
		select k.n, i.hash, i.result from k join idempotency i
		on i.env_id = k.env_id and i.actor = k.actor and i.operation = k.operation and i.key = k.key`, list.args...).Scan(ctx, &rows)
	if err != nil {
		return nil, s.fail("reading idempotency keys", err)
	}
	for _, r := range rows {
		if !bytes.Equal(r.Hash, keys[r.N].Once.Hash[:]) {
			out[r.N].Err = errKeyReused()
			continue
		}
		if out[r.N].Result, err = s.decodeResult(ctx, keys[r.N].Env, r.Result); err != nil {
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
