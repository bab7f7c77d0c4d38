package main

import (
	"math"
	"runtime"
	"runtime/debug"
)

// ballast is the size in bytes of what is allocated and never touched, so that it
// takes no memory: the collector, which runs whenever as much again has been allocated
// as is in use, takes it for used. Without it a server that keeps next to nothing
// collects after every few megabytes, which is a quarter of what a send costs.
const ballast = 24 << 20

// ballasted keeps the collector from running for next to nothing until free is
// called. Where GOMEMLIMIT says how much memory there may be, it would count.
func ballasted() (free func()) {
	if debug.SetMemoryLimit(-1) != math.MaxInt64 {
		return func() {}
	}
	b := make([]byte, ballast)
	return func() { runtime.KeepAlive(b) }
}
