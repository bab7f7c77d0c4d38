// Package graph is the GraphQL surface: it turns operations into calls of the
// services and their answers back into the schema's shapes. A resolver asks
// who is calling, decodes, calls one service, encodes, and lets one function
// speak of errors; rules live in the services.
//
// It owns who may use which root field (access.go), opaque ids, connections,
// idempotency keys, and the code of every error. Parsing, limits and the
// protocols are packages operation and transport; what gqlgen writes is in
// generated, what it is bound to in view.
//
// # Scope
//
// Every service call carries the environment of the caller's credential. A
// user's credential acts on its own user only: whatever else it names is
// answered as if it did not exist.
package graph
