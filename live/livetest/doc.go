// Package livetest holds what every live bus must pass ([Contract]) and what
// tests of live updates need: a watcher that records, a database that is told
// where keys stand, and a Redis server of the test's own.
//
// It is imported by tests only. It never flushes a Redis and signals no process
// that it did not start.
package livetest
