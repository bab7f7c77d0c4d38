// Package inbox is what users and applications do with inboxes: list, mark,
// delete, and watch them. It owns the stream of an inbox ([Stream]): how a
// client that follows it, or comes back to it, is told everything once and in
// order; and the sweeping of what expires.
//
// It does not know how a notification gets into an inbox (package notify), who
// may ask (the surfaces do), or how its answers are written. What a mark makes
// of an item, and how counters move, is decided in the database's transaction,
// so it stands in package store.
package inbox
