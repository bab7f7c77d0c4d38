package delivery

import (
	"sync"

	"carillon/model"
)

// How many deliveries of one lane this process works on at the same time.
const (
	ownPlaces = 4  // always, also when no others are free
	maxLane   = 64 // at most
)

// places are taken by the deliveries that this process works on.
type places struct {
	mu    sync.Mutex
	lanes map[model.Lane]int
	envs  map[model.EnvID]int
	all   int
}

// wish is a lane with something due, and how many its providers have use for.
type wish struct {
	model.Lane
	room int
}

// share divides total places between lanes: evenly between the environments
// with something to do and one more, so that whoever comes next finds some that
// are free; and what an environment gets evenly between its lanes. Each lane has
// a few of its own besides, so no number of others that hang makes it wait.
func (p *places) share(total int, wishes []wish) []model.LaneClaim {
	p.mu.Lock()
	defer p.mu.Unlock()
	lanes := p.active(wishes)
	each := total / (len(lanes) + 1)
	taken, all := map[model.EnvID]int{}, p.all // what is claimed here, too
	var claims []model.LaneClaim
	for _, w := range wishes {
		if w.room <= 0 {
			continue
		}
		busy := p.lanes[w.Lane]
		n := min(each/lanes[w.Env]-busy, each-p.envs[w.Env]-taken[w.Env], maxLane-busy, total-all)
		if n = min(max(n, ownPlaces-busy), w.room); n > 0 {
			claims = append(claims, model.LaneClaim{Lane: w.Lane, Limit: n})
			taken[w.Env] += n
			all += n
		}
	}
	return claims
}

// active counts, for each environment with something to do, its lanes.
func (p *places) active(wishes []wish) map[model.EnvID]int {
	out := map[model.EnvID]int{}
	for l := range p.lanes {
		out[l.Env]++
	}
	for _, w := range wishes {
		if p.lanes[w.Lane] == 0 && w.room > 0 {
			out[w.Env]++
		}
	}
	return out
}

// take takes a place for a delivery, which gives it back.
func (p *places) take(l model.Lane) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lanes == nil {
		p.lanes, p.envs = map[model.Lane]int{}, map[model.EnvID]int{}
	}
	p.lanes[l]++
	p.envs[l.Env]++
	p.all++
}

func (p *places) free(l model.Lane) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lanes[l]--; p.lanes[l] == 0 {
		delete(p.lanes, l)
	}
	if p.envs[l.Env]--; p.envs[l.Env] == 0 {
		delete(p.envs, l.Env)
	}
	p.all--
}

// busy is how many places a lane has taken.
func (p *places) busy(l model.Lane) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lanes[l]
}

func (p *places) taken() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.all
}
