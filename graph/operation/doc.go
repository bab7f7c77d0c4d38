// Package operation takes a GraphQL request from its text to its answer. It
// parses, refuses what is too large or too expensive before any of it is
// looked at closely, validates, coerces variables, remembers documents, and
// runs the rest through gqlgen's generated schema.
//
// The package owns the limits and the codes of request errors. It does not
// know how a request arrived (graph/transport does), who is calling, or what
// any field means: what a caller may do is asked of the functions in [Config].
//
// # One request
//
// [Engine.Prepare] turns [Params] into an [Operation] or says why not;
// [Engine.Execute] runs a query or mutation; [Engine.Subscribe] opens a
// subscription. The order of checks is: size, tokens, syntax, choice of the
// operation, permission, limits, validation, variables.
//
// # Subscriptions without goroutines
//
// A [Source] is asked for the next event and never waits; when there may be
// one, it calls wake. Each event is executed by itself: the generated
// subscription resolver returns [EventChannel], which holds that one event.
// So a subscriber that waits costs memory and nothing else.
package operation
