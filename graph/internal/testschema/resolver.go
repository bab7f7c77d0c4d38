// Package testschema is a small schema with gqlgen's generated code, for tests
// of the packages that run GraphQL without knowing the product's schema. Its
// resolvers answer from nothing but their arguments.
package testschema

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"carillon/graph/operation"
	"carillon/model"
)

//go:generate go tool gqlgen generate

// New returns the executable schema.
func New() graphql.ExecutableSchema {
	bare := NewExecutableSchema(Config{}).Schema()
	return NewExecutableSchema(Config{Resolvers: resolver{}, Schema: operation.Served(bare)})
}

// who is the key of the name that Query.who tells.
type who struct{}

// WithName returns ctx with the name that Query.who tells.
func WithName(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, who{}, name)
}

// Name is the name in ctx; empty when there is none.
func Name(ctx context.Context) string {
	name, _ := ctx.Value(who{}).(string)
	return name
}

type resolver struct{}

func (resolver) Device() DeviceResolver             { return resolver{} }
func (resolver) Mutation() MutationResolver         { return resolver{} }
func (resolver) Place() PlaceResolver               { return resolver{} }
func (resolver) Query() QueryResolver               { return query{} }
func (resolver) Subscription() SubscriptionResolver { return resolver{} }
func (resolver) User() UserResolver                 { return resolver{} }

type query struct{}

func (query) Hello(_ context.Context, name string) (string, error) { return "hello " + name, nil }

func (query) User(_ context.Context, id string) (*User, error) { return user(id), nil }

func (query) Users(_ context.Context, first, last *int32, _ *string) (*UserConnection, error) {
	return users(first, last), nil
}

func (query) Latest(_ context.Context, first *int32) ([]*User, error) {
	return users(first, nil).Nodes, nil
}

func (query) Search(context.Context, Kind, *SearchInput) ([]Found, error) {
	return []Found{user("1"), &Place{ID: "2"}}, nil
}

func (query) Fail(_ context.Context, how string) (*string, error) { return nil, Failure(how) }

func (query) Must(_ context.Context, how string) (string, error) { return "", Failure(how) }

func (query) Slow(ctx context.Context) (*string, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (query) Echo(_ context.Context, value any) (any, error) { return value, nil }

func (query) Number(_ context.Context, n int32, _ *float64) (int32, error) { return n, nil }

func (query) Text(_ context.Context, bytes int32) (string, error) {
	return strings.Repeat("x", int(bytes)), nil
}

func (query) Who(ctx context.Context) (string, error) { return Name(ctx), nil }

func (resolver) Rename(ctx context.Context, in RenameInput) (*RenamePayload, error) {
	return &RenamePayload{User: &User{ID: in.ID, Name: in.Name}, Key: operation.IdempotencyKey(ctx)}, nil
}

// Cut counts mutations that lingered and were given up.
var Cut atomic.Int64

func (resolver) Linger(ctx context.Context) (*string, error) {
	select {
	case <-time.After(100 * time.Millisecond):
	case <-ctx.Done():
		Cut.Add(1)
	}
	return nil, ctx.Err()
}

func (resolver) Counter(ctx context.Context, _ *int32, _ *string, _ *int32) (<-chan *Count, error) {
	return operation.EventChannel(ctx, operation.Same[*Count])
}

func (resolver) Broken(ctx context.Context, _ string) (<-chan *Count, error) {
	return operation.EventChannel(ctx, operation.Same[*Count])
}

func (resolver) Boss(_ context.Context, u *User) (*User, error) { return user(u.ID + "0"), nil }

func (resolver) Devices(_ context.Context, u *User) ([]*Device, error) {
	return []*Device{{ID: "d" + u.ID}}, nil
}

func (resolver) Friends(_ context.Context, _ *User, first, last *int32) (*UserConnection, error) {
	return users(first, last), nil
}

func (resolver) Owner(_ context.Context, d *Device) (*User, error) {
	return user(strings.TrimPrefix(d.ID, "d")), nil
}

func (resolver) Users(_ context.Context, _ *Place, first *int32) (*UserConnection, error) {
	return users(first, nil), nil
}

func user(id string) *User { return &User{ID: id, Name: "user " + id, Tags: []string{"a", "b"}} }

func users(first, last *int32) *UserConnection {
	n := int32(2)
	for _, page := range []*int32{first, last} {
		if page != nil {
			n = *page
		}
	}
	c := &UserConnection{Total: n}
	for i := range n {
		u := user(strconv.Itoa(int(i)))
		c.Nodes, c.Edges = append(c.Nodes, u), append(c.Edges, &UserEdge{Node: u})
	}
	return c
}

// Failure is the error that a field which fails as told fails with.
func Failure(how string) error {
	switch how {
	case "invalid":
		return model.Errorf(model.KindInvalid, "cannot be used")
	case "forbidden":
		return model.Errorf(model.KindForbidden, "not for you")
	case "missing":
		return model.NotFound("names nothing here", "how")
	case "unavailable":
		return &model.Error{Kind: model.KindUnavailable, Message: "the database is away", RetryAfter: 1500e6}
	case "panic":
		panic("a secret in a panic")
	default:
		return errors.New("a secret in an error")
	}
}
