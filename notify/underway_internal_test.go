package notify

import (
	"testing"

	"carillon/model"
)

func TestNobodyGoesBackWithASend(t *testing.T) {
	t.Parallel()
	var u underWay
	if !u.enter(1, 0) || u.enter(1, 0) {
		t.Error("one worker, and no second one, can be at a send")
	}
	u.came(1, 50, false)
	u.leave(1)
	if u.enter(1, 0) {
		t.Error("a worker that had read where the send was before is let go there again")
	}
	if !u.enter(1, 50) {
		t.Error("a worker that goes on where the last one ended is kept away")
	}
	u.came(1, 70, true)
	u.leave(1)
	if len(u.reached) != 0 || len(u.list()) != 0 {
		t.Errorf("of a send that has ended %v and %v are kept", u.reached, u.list())
	}
	for id := range 2 * mostReached {
		u.came(model.SendID(id), 7, false)
	}
	if n := len(u.reached); n > mostReached {
		t.Errorf("%d sends are remembered, want %d at most", n, mostReached)
	}
}
