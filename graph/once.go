package graph

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"

	"github.com/99designs/gqlgen/graphql"

	"carillon/auth"
	"carillon/graph/operation"
	"carillon/model"
)

// once makes the running mutation happen at most once when the caller gave a
// key: as the input's idempotencyKey, or as the Idempotency-Key header of an
// operation with one root field. input is the mutation's input without the
// key; what it encodes to is what a second call must equal.
func once(ctx context.Context, caller auth.Caller, given *string, input any) (model.Once, error) {
	key, err := idempotencyKey(ctx, given)
	if key == "" || err != nil {
		return model.Once{}, err
	}
	encoded, err := json.Marshal(input)
	if err != nil {
		return model.Once{}, fmt.Errorf("encoding input: %w", err)
	}
	return model.Once{Actor: caller.Actor(), Operation: graphql.GetFieldContext(ctx).Field.Name, Key: key, Hash: sha256.Sum256(encoded)}, nil
}

func idempotencyKey(ctx context.Context, given *string) (string, error) {
	header := operation.IdempotencyKey(ctx)
	switch {
	case given == nil && header == "":
		return "", nil
	case given == nil:
		given = &header
	case header != "" && header != *given:
		return "", invalid("differs from the header Idempotency-Key: give one, or the same in both", "idempotencyKey")
	}
	if m := model.CheckIdentifier(*given); m != "" {
		return "", invalid(m, "idempotencyKey")
	}
	return *given, nil
}

// take removes the key from an input.
func take(key **string) *string {
	k := *key
	*key = nil
	return k
}
