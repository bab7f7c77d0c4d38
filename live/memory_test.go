package live_test

import (
	"testing"

	"carillon/live"
	"carillon/live/livetest"
)

func TestMemoryContract(t *testing.T) {
	t.Parallel()
	livetest.Contract(t, func(*testing.T) livetest.Medium {
		m := new(live.Memory)
		return livetest.Medium{Bus: func(*testing.T) live.Bus { return m.Bus() }}
	})
}
