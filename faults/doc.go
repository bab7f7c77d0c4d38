// Command faults hurts a real server and checks that it kept its promises: it
// starts the built binary with a database of its own, puts load on it, kills
// it (and what it depends on) again and again, and at the end compares what
// clients were told with what the database holds.
//
// `go test ./faults` runs each story briefly, `go run ./faults` at full length.
// Everything listens on loopback, is bounded in count and time, and only
// processes started here are signalled.
package main
