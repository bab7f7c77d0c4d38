//go:build race

package graph_test

// underRace: SQLite is thirty times slower with the race detector on.
const underRace = true
