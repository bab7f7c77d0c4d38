package delivery

import (
	"fmt"
	"testing"

	"carillon/model"
)

func laneOf(env, channel int) model.Lane {
	return model.Lane{Env: model.EnvID(env), Channel: model.Channel(channel)}
}

// grant divides and takes, and returns what the last lane got.
func (p *places) grant(total int, wishes ...wish) (last int) {
	for _, c := range p.share(total, wishes) {
		for range c.Limit {
			p.take(c.Lane)
		}
		if c.Lane == wishes[len(wishes)-1].Lane {
			last = c.Limit
		}
	}
	return last
}

func TestWhoeverComesNextFindsPlaces(t *testing.T) {
	t.Parallel()
	const total = 256
	for name, lane := range map[string]func(i int) model.Lane{
		"Environments": func(i int) model.Lane { return laneOf(i+1, 2) },
		"Channels":     func(i int) model.Lane { return laneOf(1, i+1) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &places{}
			for i := range 300 {
				// All the earlier ones hang, and have more to do.
				var wishes []wish
				for j := range i + 1 {
					wishes = append(wishes, wish{lane(j), 16 - p.busy(lane(j))})
				}
				if got := p.grant(total, wishes...); got < ownPlaces {
					t.Errorf("lane %d gets %d places, want %d or more", i, got, ownPlaces)
				}
			}
			if p.taken() > total+300*ownPlaces {
				t.Errorf("%d places are taken", p.taken())
			}
		})
	}
}

func TestPlacesAreSharedEvenly(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		wishes []wish
		want   string
	}{
		{[]wish{{laneOf(1, 2), 500}}, "[64]"},
		{[]wish{{laneOf(1, 2), 500}, {laneOf(2, 2), 500}, {laneOf(3, 2), 500}}, "[25 25 25]"},
		{[]wish{{laneOf(1, 2), 500}, {laneOf(1, 3), 500}, {laneOf(2, 2), 500}}, "[16 16 33]"},
		{[]wish{{laneOf(1, 2), 0}, {laneOf(2, 2), 500}}, "[50]"}, // who can do nothing takes nothing from the others
		{[]wish{{laneOf(1, 2), 3}}, "[3]"},
	} {
		p := &places{}
		total := 100
		if tt.want == "[64]" {
			total = 256
		}
		var got []int
		for _, c := range p.share(total, tt.wishes) {
			got = append(got, c.Limit)
		}
		if fmt.Sprint(got) != tt.want {
			t.Errorf("%v: %v, want %s", tt.wishes, got, tt.want)
		}
		for _, w := range tt.wishes {
			p.take(w.Lane)
			p.free(w.Lane)
		}
		if p.taken() != 0 || len(p.lanes)+len(p.envs) != 0 {
			t.Errorf("what was given back is still taken: %+v", p)
		}
	}
}
