package store_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"carillon/model"
	"carillon/store"
	"carillon/store/storetest"
)

// keeping is a world whose users change under segments.
type keeping struct {
	dice
	s        *store.Store
	env      model.EnvID
	now      *time.Time
	segments []model.Segment
	names    []string // users that may be there
	n        int
}

// ruleOf is a rule that changes of every kind bear on.
func (k *keeping) ruleOf() model.SegmentRule {
	switch k.IntN(6) {
	case 0:
		return model.SegmentRule{SignedUp: &model.TimeCondition{WithinDays: new(one(k.dice, []int32{1, 9}))}}
	case 1:
		return model.SegmentRule{Not: &model.SegmentRule{Reachable: new(one(k.dice, []model.Channel{model.ChannelMobilePush, model.ChannelSlack}))}}
	case 2:
		return model.SegmentRule{Enabled: new(k.IntN(2) == 0)}
	}
	return k.rule(2)
}

// change does one thing to somebody, by the method that the services use.
func (k *keeping) change(ctx context.Context) error {
	name, once := one(k.dice, k.names), model.Once{}
	u, _, err := k.s.EnsureUser(ctx, k.env, name)
	if err != nil {
		return err
	}
	k.n++
	switch k.IntN(9) {
	case 0, 1:
		raw, _ := json.Marshal(k.object())
		_, err = k.s.PatchProfile(ctx, k.env, once, name, nil, func(json.RawMessage) (json.RawMessage, error) { return raw, nil })
	case 2, 3:
		_, err = k.s.TrackEvents(ctx, k.env, once, name, []model.Event{{
			ID: model.EventID(fmt.Sprint("e", k.n)), Name: one(k.dice, []string{"buy", "see"}), Value: json.RawMessage(`2`),
			OccurredAt: k.now.Add(time.Duration(2*24*60-k.IntN(8*24*60)) * time.Minute),
		}})
	case 4:
		_, err = k.s.SubscribeToTopic(ctx, k.env, once, "news", []model.TopicMember{{Identifier: name}})
	case 5:
		_, err = k.s.UnsubscribeFromTopic(ctx, k.env, once, "news", []string{name})
	case 6:
		_, err = k.s.SetUserEnabled(ctx, k.env, once, name, k.IntN(2) == 0)
	case 7:
		d := model.Device{ID: model.DeviceID(fmt.Sprint("d", k.n)), EnvID: k.env, UserID: u.ID, Key: "phone"}
		_, err = k.s.RegisterDevice(ctx, k.env, once, d, func(d model.Device) model.Device {
			d.Platform, d.Enabled, d.Token = model.PlatformIOS, true, one(k.dice, []string{"t1", "t2"}) // a token goes to who had it last
			return d
		})
	default:
		if other := one(k.dice, k.names); k.IntN(2) == 0 && other != name {
			if _, _, err := k.s.EnsureUser(ctx, k.env, other); err != nil {
				return err
			}
			_, err = k.s.MergeUsers(ctx, k.env, once, model.MergeID(fmt.Sprint("m", k.n)), other, name, func(_, into json.RawMessage) (json.RawMessage, model.MergeDecision, error) {
				return into, model.MergeDecision{What: "attributes"}, nil
			}, false)
			k.names = append(k.names, fmt.Sprint("new", k.n))
		} else {
			err = storetest.Erase(ctx, k.s, k.env, once, name)
		}
	}
	return err
}

// settle follows time and changes, and has what only a look at everyone tells
// looked at.
func (k *keeping) settle(ctx context.Context) error {
	for _, m := range k.segments {
		if _, followed := m.Rule.Windows(); !followed || k.n == 0 {
			if done, err := k.s.RefreshSegment(ctx, m.EnvID, m.ID, time.Hour, time.Minute, false); err != nil || !done {
				return fmt.Errorf("refreshed: %t, %w", done, err)
			}
		}
		if err := k.s.FollowTime(ctx, m.EnvID, m.ID); err != nil {
			return err
		}
	}
	for n := 5; n == 5; {
		var err error
		if n, err = k.s.RefreshChanged(ctx, k.env, 5); err != nil {
			return err
		}
	}
	return nil
}

// TestMembersFollowEveryChange has users change in every way, and time pass, and
// holds what was kept, step by step, to what a look at everyone finds.
func TestMembersFollowEveryChange(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		now := time.Date(2026, 1, 20, 12, 0, 0, 0, time.UTC)
		s := storetest.Open(t, store.Config{URL: url, MaxConns: 6, Now: func() time.Time { return now }})
		ctx := t.Context()
		k := &keeping{dice: dice{rand.New(rand.NewPCG(3, 4))}, s: s, env: storetest.Env(t, s, "a"), now: &now}
		other := storetest.Env(t, s, "b")
		storetest.User(t, s, other, "u1") // of whom nothing changes
		for _, env := range []model.EnvID{k.env, other} {
			if _, err := s.CreateTopic(ctx, env, model.Once{}, "news", "News", model.TopicDetails{}); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 8 {
			k.names = append(k.names, fmt.Sprint("u", i))
		}
		for i := range 14 {
			m := model.Segment{EnvID: k.env, Identifier: fmt.Sprint("s", i), Name: "S", Rule: k.ruleOf()}
			if i >= 12 { // everyone, in both
				m.EnvID, m.Rule = []model.EnvID{k.env, other}[i-12], model.SegmentRule{Reachable: new(model.ChannelInApp)}
			}
			out, err := s.CreateSegment(ctx, model.Once{}, m)
			if err != nil {
				t.Fatal(err)
			}
			k.segments = append(k.segments, out.Value)
		}
		for round := range 6 {
			if err := k.settle(ctx); err != nil {
				t.Fatal(err)
			}
			for _, m := range k.segments {
				k.holds(t, m, round)
			}
			for range 12 {
				if err := k.change(ctx); err != nil {
					t.Fatal(err)
				}
			}
			now = now.Add(time.Duration(k.IntN(36)) * time.Hour)
		}
		if _, err := s.DeleteTopic(ctx, k.env, model.Once{}, "news"); err != nil {
			t.Fatal(err)
		}
		if err := k.settle(ctx); err != nil {
			t.Fatal(err)
		}
		for _, m := range k.segments {
			k.holds(t, m, 99)
		}
		if left, err := store.RowsOf(ctx, s, "segment_changes", k.env, storetest.User(t, s, k.env, "u0")); err != nil || left > 1 {
			t.Errorf("%d changes are left, %v", left, err)
		}
	})
}

// holds wants the members of a segment to be those whom a look at everyone finds,
// as many as the segment says.
func (k *keeping) holds(t *testing.T, m model.Segment, round int) {
	t.Helper()
	want, done, err := k.s.PreviewRule(t.Context(), m.EnvID, m.Rule, nil, 100, time.Minute)
	if err != nil || !done {
		t.Fatal(done, err)
	}
	got, err := k.s.SegmentMembers(t.Context(), m.EnvID, m.ID, model.PageRequest{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	now, err := k.s.SegmentByID(t.Context(), m.EnvID, m.ID)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got.Items, want.Users) || now.Size != int64(len(want.Users)) {
		text, _ := json.Marshal(m.Rule)
		t.Errorf("round %d: %s has %v, size %d; want %v", round, text, got.Items, now.Size, want.Users)
	}
}
