package main

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"sync"
)

// poolSize is how many ids of a kind an actor remembers.
const poolSize = 64

// idPool is what an actor was told: ids, cursors, positions, by kind.
type idPool struct {
	mu   sync.Mutex
	kind map[string][]string
	next map[string]int
	not  map[string]bool // ids that are not noted
}

func newIDPool() *idPool {
	return &idPool{kind: map[string][]string{}, next: map[string]int{}, not: map[string]bool{}}
}

// except has ids left out from then on.
func (p *idPool) except(ids ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range ids {
		p.not[id] = true
	}
}

func (p *idPool) add(kind, id string) {
	if strings.Contains(id, "zq") { // a block's id is its sender's own text: who asks for it would be told of it
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.not[id] {
		return
	}
	if list := p.kind[kind]; len(list) < poolSize {
		p.kind[kind] = append(list, id)
		return
	}
	p.kind[kind][p.next[kind]%poolSize] = id
	p.next[kind]++
}

func (p *idPool) pick(random *rand.Rand, kind string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if list := p.kind[kind]; len(list) > 0 {
		return list[random.IntN(len(list))]
	}
	return ""
}

var (
	typedID = regexp.MustCompile(`"__typename":"(\w+)","id":"([^"]+)"`)
	plainID = regexp.MustCompile(`"(cursor|startCursor|endCursor|position|upTo|number|keyId|requestId)":"([^"]+)"`)
)

// harvest notes what an answer tells.
func (p *idPool) harvest(body []byte) {
	for _, m := range typedID.FindAllSubmatch(body, 20) {
		p.add(string(m[1]), string(m[2]))
		p.add("id", string(m[2]))
	}
	for _, m := range plainID.FindAllSubmatch(body, 20) {
		kind := string(m[1])
		switch kind {
		case "startCursor", "endCursor":
			kind = "cursor"
		case "upTo":
			kind = "position"
		}
		p.add(kind, string(m[2]))
	}
}

// some picks an id of a kind that the actor knows or, more often, that somebody
// else does; "" when nobody knows any.
func (a *actor) some(random *rand.Rand, kind string, own bool) string {
	for range 10 {
		from := a
		if !own || random.IntN(3) > 0 {
			from = a.tenants.actors[random.IntN(len(a.tenants.actors))]
		}
		if !own && from.tenant == a.tenant {
			continue
		}
		if id := from.ids.pick(random, kind); id != "" {
			return id
		}
	}
	return ""
}

// baited is the id of a notification of somebody whom the actor may not touch.
func (a *actor) baited(random *rand.Rand) string {
	env := a.tenants.envs[random.IntN(len(a.tenants.envs))]
	if env == a.tenant && a.user < 0 {
		return ""
	}
	return env.bait[random.IntN(len(env.bait))]
}
