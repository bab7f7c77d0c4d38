// Package websocket has the parts that servers of WebSockets are made of: frames
// read without a buffer while nothing comes, and written without a goroutine
// while the peer reads. It knows WebSocket frames and nothing of what is said
// in them; what a socket is, and when it has something to say, is up to its
// users (graph/transport, rest/engagespot/socketio).
//
// A socket that nothing happens on costs one goroutine, which waits in
// [Input.Wait], and no memory beside its own. When there is something to
// write, one of a few [Writers] takes the socket's turn and tries to write
// without waiting.
package websocket
