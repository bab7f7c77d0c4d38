// Package socketio serves events over WebSockets as socket.io 4 does (protocol
// 5, over Engine.IO 4), for clients of socket.io that listen: the server tells,
// clients say nothing but hello, and there is no polling, no upgrade and no
// binary data.
//
// The package owns connections: handshake, heartbeats, namespaces, what may be
// sent, how much, how fast, and how they end. It knows neither what an event
// says nor what a credential looks like: that is asked of an [Opener].
//
// # What a socket costs
//
// A socket that nothing happens on has one goroutine, which waits for bytes,
// and no buffer. What it has to say is asked for when it can be written, an
// event at a time, so that nothing queues up for a slow reader; see
// internal/websocket. Heartbeats and time limits of all sockets are looked
// after by one goroutine.
//
// # How a socket ends
//
// Clients of socket.io come back by themselves when the transport closes, and
// stop for good when the server says so (packets 41 and 44). So a credential
// that is wrong is refused with 44, and one that was revoked, or whose user was
// deleted, ends with 41; a credential that has expired ends with a close, since
// a client may come back with a fresh one, and if it does not, it gets the 44
// then. Everything else is a close with one of these codes:
//
//	1000, 1001  the client went; 1001 also: this server is shutting down
//	1002, 1007  not WebSocket, or not UTF-8
//	1003        binary data
//	1008        more packets than [Settings] allow, or no namespace in time
//	1009        a message larger than [Settings] allow
//	1011        a bug
//	1013        the database is away: come back
//	4400        not a packet of the protocol
package socketio
