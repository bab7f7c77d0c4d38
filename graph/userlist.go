package graph

import (
	"context"
	"encoding/json"
	"strconv"

	"carillon/auth"
	"carillon/graph/generated"
	"carillon/graph/view"
	"carillon/model"
)

func (q *query) Users(ctx context.Context, first *int32, after *string, last *int32, before *string, filter *generated.UserFilter, orderBy *generated.UserOrder) (*generated.UserConnection, error) {
	caller, err := auth.RequireSecret(ctx)
	if err != nil {
		return nil, err
	}
	order, kind := userOrder(orderBy)
	req, err := pageArgs{first, after, last, before}.request(kind)
	if err != nil {
		return nil, err
	}
	f, err := userFilter(filter)
	if err != nil {
		return nil, err
	}
	page, err := q.Resolver.Users.List(ctx, caller.Env.ID, f, order, req)
	if err != nil {
		return nil, err
	}
	r := pageOf(kind, req, page.Items, page.HasMore, view.Users(page.Items), func(u *model.User) model.PageKey { return order.Key(*u) })
	r.reach(kind, req, page.Reached)
	out := &generated.UserConnection{
		Nodes: r.nodes, PageInfo: r.info,
		Edges: edges(r, func(c string, n *view.User) *generated.UserEdge { return &generated.UserEdge{Cursor: c, Node: n} }),
	}
	if asks(ctx, "total") {
		total, err := q.Resolver.Users.Count(ctx, caller.Env.ID, f)
		if err != nil {
			return nil, err
		}
		out.Total = &total
	}
	return out, nil
}

// userOrders are the orders of users, each with the kind of its cursors.
var userOrders = map[view.UserOrderField]struct {
	by   model.UserOrderKey
	kind byte
}{
	view.OrderCreatedAt:  {model.ByCreation, pageUsersByTime},
	view.OrderIdentifier: {model.ByIdentifier, pageUsersByName},
	view.OrderSignedUpAt: {model.BySignUp, pageUsersSigned},
	view.OrderLastSeenAt: {model.ByLastSeen, pageUsersSeen},
	view.OrderEmail:      {model.ByEmail, pageUsersMail},
}

func userOrder(o *generated.UserOrder) (order model.UserOrder, kind byte) {
	if o == nil {
		return model.UserOrder{}, pageUsersByTime
	}
	is := userOrders[o.Field]
	return model.UserOrder{By: is.by, Ascending: o.Direction == view.Ascending}, is.kind
}

func userFilter(f *generated.UserFilter) (model.UserFilter, error) {
	if f == nil {
		return model.UserFilter{}, nil
	}
	var check model.Check
	for _, t := range []struct {
		name string
		text *string
	}{{"email", f.Email}, {"search", f.Search}, {"topic", f.Topic}, {"account", f.Account}} {
		check.That(t.text == nil || *t.text != "", "must not be empty", "filter", t.name)
	}
	out := model.UserFilter{
		Enabled: f.Enabled, Archived: f.Archived, Kind: value(f.UserKind), IdentifierPrefix: value(f.IdentifierPrefix), Email: value(f.Email), Search: value(f.Search),
		CreatedAt:  model.TimeRange{Since: value(f.CreatedSince), Until: value(f.CreatedUntil)},
		SignedUpAt: model.TimeRange{Since: value(f.SignedUpSince), Until: value(f.SignedUpUntil)},
		TopicName:  value(f.Topic), AccountName: value(f.Account),
	}
	for i, p := range f.Properties {
		out.Properties = append(out.Properties, propertyFilter(p, check.At("filter", "properties", strconv.Itoa(i))))
	}
	return out, check.Err()
}

// propertyFilter reads a condition: exactly one of its tests is given.
func propertyFilter(in *generated.PropertyFilter, c *model.Check) model.PropertyFilter {
	var contains json.RawMessage
	if in.Contains != nil {
		contains, _ = model.EncodeJSON(*in.Contains) // text always encodes
	}
	out := model.PropertyFilter{Name: in.Name}
	given := 0
	for test, v := range map[model.PropertyTest]json.RawMessage{
		model.PropertyEquals: in.Equals, model.PropertyContains: contains, model.PropertyGreater: in.GreaterThan, model.PropertyLess: in.LessThan,
	} {
		if v != nil {
			out.Test, out.Value = test, v
			given++
		}
	}
	c.That(given == 1, "must be given with exactly one of equals, contains, greaterThan and lessThan")
	return out
}
