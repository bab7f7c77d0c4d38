// Package transport carries GraphQL operations over HTTP: plain requests as
// GraphQL over HTTP has them, WebSockets that speak graphql-transport-ws, and
// event streams as graphql-sse has them in distinct connections mode. All
// three are served by one [Handler] at one address.
//
// The package owns connections: what may be sent over them, how much, how fast,
// for how long, and how they end. It does not know what an operation is made
// of (graph/operation does) or what a credential looks like: that is asked of
// an [Authenticator].
//
// # What a waiting subscriber costs
//
// A socket that nothing happens on has one goroutine, which waits for bytes,
// and no buffer. When something is to be written, one of a few writers takes
// the socket's turn: one frame, taken from its [operation.Stream] at that
// moment, so that nothing queues up for a slow reader. A frame that does not
// fit into the socket at once goes to a goroutine of its own, with a deadline;
// the writer moves on. Pings and time limits of all sockets are looked after
// by one more goroutine.
//
// An event stream leaves its request behind in the same way. It has a goroutine
// that waits for the client to go, and another one while there is something to
// write.
//
// # How a WebSocket ends
//
//	1000, 1001  the client went; 1001 also: this server is shutting down
//	1002, 1007  not WebSocket, or not UTF-8
//	1009        a message larger than [Settings] allow
//	1013        too many connections, or the database is away: come back
//	4400        not a message of the protocol
//	4401        no or a wrong credential, or subscribe before connection_ack
//	4403        the credential expired or was revoked, or a renewal was refused:
//	            clients come back with a fresh one
//	4406        another subprotocol than graphql-transport-ws
//	4408        no connection_init in time
//	4409        an id that is in use
//	4429        a second connection_init
//	4500        a bug
//
// A client may hand in a fresh credential before its own expires, as the
// payload of a ping; the pong says until when it counts.
//
// # How an event stream ends
//
// With the event complete, when the operation has no more to say. Without it,
// when the client should come back with its Last-Event-ID: the credential
// expired, the database went away, the server is shutting down.
package transport
