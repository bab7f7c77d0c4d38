//go:build race

package inbox_test

// underRace: SQLite is thirty times slower with the race detector on.
const underRace = true
