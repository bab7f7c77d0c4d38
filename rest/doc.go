// Package rest holds what the REST dialects have in common: a router over the
// segments of a path, the way of a request through a surface (authenticate,
// admit, read, answer), the reading of bodies and their members, and answers
// that are always JSON. It has no route, no envelope and no rule of its own.
//
// # The order of checks
//
// A request is authenticated first, then admitted by rates and room, and only
// then is its body read: a wrong credential beside a broken body is 401. What
// the credential may do is asked in between, so that nobody uploads what they
// may not send.
//
// # Paths
//
// Repeated and trailing slashes are as if they were not there, without a
// redirect, which would break preflights and turn a POST into a GET. Segments
// are decoded once. Literal segments win over parameters, unless only the
// parameter leads to a route for the method.
package rest
