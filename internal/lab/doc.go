// Package lab runs real servers for benchmarks and fault tests: the built
// binary, and a PostgreSQL and a Redis of its own, each on a free port of
// loopback and in a folder of the caller's. It signals only what it started.
package lab
