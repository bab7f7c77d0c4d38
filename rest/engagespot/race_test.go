//go:build race

package engagespot_test

// underRace: SQLite is thirty times slower with the race detector on.
const underRace = true
