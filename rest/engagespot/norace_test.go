//go:build !race

package engagespot_test

const underRace = false
