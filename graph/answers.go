package graph

import (
	"sync"

	"carillon/graph/plan"
	"carillon/model"
)

// answers remembers answers within a number of bytes, on a shelf for each plan.
// When they are used up some go, no matter which, since all are as easy to make
// again; but of a shelf as likely as of any other, so that many documents that
// are asked once do not drive out the one that everyone asks.
type answers struct {
	max int

	mu      sync.Mutex
	bytes   int
	shelves map[*plan.Plan]map[answerKey]answer
}

// answerKey is what an answer depends on besides its plan.
type answerKey struct {
	env   model.EnvID
	user  model.UserID
	first int
}

// answer is the data that was true of an inbox at a seq.
type answer struct {
	data []byte
	seq  int64
}

// answerWeight is what an answer takes besides its bytes.
const answerWeight = 128

func newAnswers(bytes int) *answers {
	return &answers{max: bytes, shelves: map[*plan.Plan]map[answerKey]answer{}}
}

// get returns what is remembered, and its seq: model.NoSeq when there is
// nothing.
func (a *answers) get(p *plan.Plan, key answerKey) (data []byte, seq int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	found, ok := a.shelves[p][key]
	if !ok {
		return nil, model.NoSeq
	}
	return found.data, found.seq
}

// put remembers an answer, unless a later one is there.
func (a *answers) put(p *plan.Plan, key answerKey, data []byte, seq int64) {
	weight := len(data) + answerWeight
	if weight+p.Size() > a.max/8 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if old, ok := a.shelves[p][key]; ok {
		if old.seq > seq {
			return
		}
		a.drop(p, key)
	}
	for a.bytes+weight+p.Size() > a.max {
		a.makeRoom()
	}
	if a.shelves[p] == nil {
		a.shelves[p] = map[answerKey]answer{}
		a.bytes += p.Size()
	}
	a.shelves[p][key] = answer{data, seq}
	a.bytes += weight
}

// makeRoom drops one answer, whichever comes first in no order.
func (a *answers) makeRoom() {
	for p, shelf := range a.shelves {
		for key := range shelf {
			a.drop(p, key)
			return
		}
	}
}

// drop forgets an answer, and a plan with its last one.
func (a *answers) drop(p *plan.Plan, key answerKey) {
	shelf := a.shelves[p]
	a.bytes -= len(shelf[key].data) + answerWeight
	delete(shelf, key)
	if len(shelf) == 0 {
		delete(a.shelves, p)
		a.bytes -= p.Size()
	}
}
