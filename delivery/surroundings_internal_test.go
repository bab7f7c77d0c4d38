package delivery

import (
	"context"
	"testing"

	"carillon/model"
)

// oneProvider is a store with a provider for e-mail.
type oneProvider struct {
	Store
	reads int
}

func (o *oneProvider) Providers(_ context.Context, envs ...model.EnvID) ([]model.Provider, error) {
	o.reads++
	return []model.Provider{{EnvID: envs[0], Channel: model.ChannelEmail, Enabled: true}}, nil
}

// TestChangedProvidersStayKnown has the providers of an environment change while
// deliveries are worked on, which would end if there were suddenly none.
func TestChangedProvidersStayKnown(t *testing.T) {
	t.Parallel()
	store := &oneProvider{}
	s := &Service{Store: store}
	lane := model.Lane{Env: 7, Channel: model.ChannelEmail}
	var c providerCatalog
	read := func(reads int) {
		t.Helper()
		if err := c.read(t.Context(), s, []model.DueLane{{Lane: lane}}); err != nil || store.reads != reads {
			t.Errorf("%v after %d reads, want %d", err, store.reads, reads)
		}
		if n := len(c.of(lane)); n != 1 {
			t.Errorf("%d providers are known, want 1", n)
		}
	}
	read(1)
	read(1)
	c.forget(lane.Env)
	if n := len(c.of(lane)); n != 1 {
		t.Errorf("after a change %d providers are known, want 1", n)
	}
	read(2)
}
