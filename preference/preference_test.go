package preference

import (
	"math/rand/v2"
	"slices"
	"testing"

	"carillon/model"
)

const (
	comments model.CategoryID = 7
	billing  model.CategoryID = 8
	email                     = model.ChannelEmail
)

func category(change func(*model.Category)) *model.Category {
	c := &model.Category{ID: comments, Identifier: "comments", DefaultEnabled: true}
	if change != nil {
		change(c)
	}
	return c
}

func on(c model.CategoryID, ch model.Channel) model.Choice {
	return model.Choice{Category: c, Channel: ch, Enabled: true}
}

func off(c model.CategoryID, ch model.Channel) model.Choice {
	return model.Choice{Category: c, Channel: ch}
}

// TestDecide is the specification of the ladder: each rung, and which of two
// rungs wins.
func TestDecide(t *testing.T) {
	t.Parallel()
	required := func(c *model.Category) { c.RequiredChannels = []model.Channel{email} }
	offByDefault := func(c *model.Category) { c.DefaultEnabled = false }
	tests := []struct {
		name   string
		change func(in *Input)
		want   bool
		reason model.Reason
	}{
		{"UnknownUser", func(in *Input) { in.Known = false }, false, model.ReasonUserUnknown},
		{"UnknownBeatsDisabled", func(in *Input) { in.Known, in.Enabled = false, false }, false, model.ReasonUserUnknown},
		{"DisabledUser", func(in *Input) { in.Enabled = false }, false, model.ReasonUserDisabled},
		{"DisabledBeatsRequired", func(in *Input) { in.Enabled, in.Category = false, category(required) }, false, model.ReasonUserDisabled},
		{"NoAddress", func(in *Input) { in.Reachable = []model.Channel{model.ChannelInApp} }, false, model.ReasonNoAddress},
		{"NoAddressBeatsRequired", func(in *Input) { in.Reachable, in.Category = nil, category(required) }, false, model.ReasonNoAddress},
		{"NoAddressBeatsAdmin", func(in *Input) { in.Reachable, in.ChannelsOff = nil, []model.Channel{email} }, false, model.ReasonNoAddress},
		{"AdminOff", func(in *Input) { in.ChannelsOff = []model.Channel{email} }, false, model.ReasonAdminOff},
		{"AdminOffBeatsRequired", func(in *Input) { in.ChannelsOff, in.Category = []model.Channel{email}, category(required) }, false, model.ReasonAdminOff},
		{"AnotherChannelOff", func(in *Input) { in.ChannelsOff = []model.Channel{model.ChannelSMS} }, true, model.ReasonEnvDefault},
		{"NotRequested", func(in *Input) { in.Requested = []model.Channel{model.ChannelInApp} }, false, model.ReasonChannelNotRequested},
		{"NoneRequested", func(in *Input) { in.Requested = []model.Channel{} }, false, model.ReasonChannelNotRequested},
		{"NotRequestedBeatsRequired", func(in *Input) {
			in.Requested, in.Category = []model.Channel{model.ChannelInApp}, category(required)
		}, false, model.ReasonChannelNotRequested},
		{"Requested", func(in *Input) { in.Requested = []model.Channel{model.ChannelInApp, email} }, true, model.ReasonEnvDefault},
		{"Required", func(in *Input) { in.Category = category(required) }, true, model.ReasonRequired},
		{"RequiredBeatsEveryChoice", func(in *Input) {
			in.Category = category(required)
			in.Choices = []model.Choice{off(0, email), off(comments, email), off(comments, 0)}
		}, true, model.ReasonRequired},
		{"AnotherChannelRequired", func(in *Input) {
			in.Category = category(func(c *model.Category) { c.RequiredChannels = []model.Channel{model.ChannelSMS} })
			in.Choices = []model.Choice{off(comments, email)}
		}, false, model.ReasonUserCategoryChannel},
		{"ChannelOffEverywhere", func(in *Input) { in.Choices = []model.Choice{off(0, email)} }, false, model.ReasonUserChannelOff},
		{"ChannelOffBeatsCategoryChannel", func(in *Input) {
			in.Category, in.Choices = category(nil), []model.Choice{off(0, email), on(comments, email)}
		}, false, model.ReasonUserChannelOff},
		{"ChannelOnEverywhereDecidesNothing", func(in *Input) {
			in.Category, in.Choices = category(offByDefault), []model.Choice{on(0, email)}
		}, false, model.ReasonCategoryDefault},
		{"CategoryChannelOff", func(in *Input) { in.Category, in.Choices = category(nil), []model.Choice{off(comments, email)} }, false, model.ReasonUserCategoryChannel},
		{"CategoryChannelBeatsCategory", func(in *Input) {
			in.Category, in.Choices = category(offByDefault), []model.Choice{off(comments, 0), on(comments, email)}
		}, true, model.ReasonUserCategoryChannel},
		{"CategoryOff", func(in *Input) { in.Category, in.Choices = category(nil), []model.Choice{off(comments, 0)} }, false, model.ReasonUserCategory},
		{"CategoryOnBeatsDefault", func(in *Input) {
			in.Category, in.Choices = category(offByDefault), []model.Choice{on(comments, 0)}
		}, true, model.ReasonUserCategory},
		{"OnTheTopicForOthers", func(in *Input) { in.Via = []model.Channel{model.ChannelSMS} }, false, model.ReasonUserTopic},
		{"OnTheTopicForNone", func(in *Input) { in.Via = []model.Channel{} }, false, model.ReasonUserTopic},
		{"OnTheTopicForItBeatsDefault", func(in *Input) {
			in.Category, in.Via = category(offByDefault), []model.Channel{model.ChannelSMS, email}
		}, true, model.ReasonUserTopic},
		{"CategoryBeatsTopic", func(in *Input) {
			in.Category, in.Via, in.Choices = category(nil), []model.Channel{model.ChannelSMS}, []model.Choice{on(comments, 0)}
		}, true, model.ReasonUserCategory},
		{"RequiredBeatsTopic", func(in *Input) {
			in.Category, in.Via = category(required), []model.Channel{model.ChannelSMS}
		}, true, model.ReasonRequired},
		{"NotRequestedBeatsTopic", func(in *Input) {
			in.Requested, in.Via = []model.Channel{model.ChannelSMS}, []model.Channel{email}
		}, false, model.ReasonChannelNotRequested},
		{"AnotherCategory", func(in *Input) {
			in.Category, in.Choices = category(nil), []model.Choice{off(billing, 0), off(billing, email)}
		}, true, model.ReasonCategoryDefault},
		{"AnotherChannel", func(in *Input) {
			in.Category, in.Choices = category(nil), []model.Choice{off(comments, model.ChannelSMS), off(0, model.ChannelSMS)}
		}, true, model.ReasonCategoryDefault},
		{"ChoicesWithoutCategory", func(in *Input) { in.Choices = []model.Choice{off(comments, 0), off(comments, email)} }, true, model.ReasonEnvDefault},
		{"CategoryDefaultOn", func(in *Input) { in.Category = category(nil) }, true, model.ReasonCategoryDefault},
		{"CategoryDefaultOff", func(in *Input) { in.Category = category(offByDefault) }, false, model.ReasonCategoryDefault},
		{"ChannelDefaultBeatsCategoryDefault", func(in *Input) {
			in.Category = category(func(c *model.Category) { c.ChannelDefaults = map[model.Channel]bool{email: false} })
		}, false, model.ReasonCategoryDefault},
		{"ChannelDefaultOn", func(in *Input) {
			in.Category = category(func(c *model.Category) {
				c.DefaultEnabled, c.ChannelDefaults = false, map[model.Channel]bool{email: true}
			})
		}, true, model.ReasonCategoryDefault},
		{"NothingSaid", func(*Input) {}, true, model.ReasonEnvDefault},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			in := Input{Known: true, Enabled: true, Reachable: model.Channels(), Channel: email}
			tt.change(&in)
			d := Decide(in)
			if d.Allowed != tt.want || d.Reason != tt.reason {
				t.Errorf("Decide(%+v) = %t by %s, want %t by %s", in, d.Allowed, d.Reason, tt.want, tt.reason)
			}
		})
	}
}

func TestDecideTellsTheWholeLadder(t *testing.T) {
	t.Parallel()
	d := Decide(Input{
		Known: true, Enabled: true, Reachable: []model.Channel{email}, Channel: email,
		Category: category(nil), Choices: []model.Choice{off(comments, 0)},
	})
	want := []model.Rung{
		{Reason: model.ReasonUserUnknown, Outcome: model.RungPassed, Detail: "the user is known"},
		{Reason: model.ReasonUserDisabled, Outcome: model.RungPassed, Detail: "the user is enabled"},
		{Reason: model.ReasonNoAddress, Outcome: model.RungPassed, Detail: "the user can be reached over EMAIL"},
		{Reason: model.ReasonSuppressed, Outcome: model.RungPassed, Detail: "no address for EMAIL is suppressed"},
		{Reason: model.ReasonAdminOff, Outcome: model.RungPassed, Detail: "the environment uses EMAIL"},
		{Reason: model.ReasonChannelNotRequested, Outcome: model.RungPassed, Detail: "the send may use EMAIL"},
		{Reason: model.ReasonRequired, Outcome: model.RungPassed, Detail: `the category "comments" does not require EMAIL`},
		{Reason: model.ReasonUserChannelOff, Outcome: model.RungPassed, Detail: "the user did not switch EMAIL off everywhere"},
		{Reason: model.ReasonUserCategoryChannel, Outcome: model.RungPassed, Detail: `the user chose nothing for EMAIL of the category "comments"`},
		{Reason: model.ReasonUserCategory, Outcome: model.RungBlock, Detail: `the user switched the whole category "comments" off`},
		{Reason: model.ReasonUserTopic, Outcome: model.RungNotReached, Detail: "not asked: USER_CATEGORY had decided"},
		{Reason: model.ReasonCategoryDefault, Outcome: model.RungNotReached, Detail: "not asked: USER_CATEGORY had decided"},
		{Reason: model.ReasonEnvDefault, Outcome: model.RungNotReached, Detail: "not asked: USER_CATEGORY had decided"},
	}
	if !slices.Equal(d.Ladder, want) {
		t.Errorf("got the ladder\n%+v\nwant\n%+v", d.Ladder, want)
	}
}

// randomInput makes inputs in which every rung decides now and then.
func randomInput(r *rand.Rand) Input {
	likely := func() bool { return r.IntN(8) > 0 }
	channel := func() model.Channel { return model.Channels()[r.IntN(4)] }
	in := Input{Known: likely(), Enabled: likely(), Channel: channel()}
	for _, c := range model.Channels() {
		if likely() {
			in.Reachable = append(in.Reachable, c)
		}
		if !likely() {
			in.ChannelsOff = append(in.ChannelsOff, c)
		}
	}
	if !likely() {
		in.Requested = []model.Channel{channel()}
	}
	if !likely() {
		in.Via = []model.Channel{channel()}
	}
	if likely() {
		in.Category = &model.Category{ID: comments, DefaultEnabled: r.IntN(2) > 0, ChannelDefaults: map[model.Channel]bool{channel(): r.IntN(2) > 0}}
		if !likely() {
			in.Category.RequiredChannels = []model.Channel{channel()}
		}
	}
	for _, c := range []model.CategoryID{0, comments, billing} {
		for _, ch := range []model.Channel{0, channel()} {
			if r.IntN(3) == 0 && (c != 0 || ch != 0) {
				in.Choices = append(in.Choices, model.Choice{Category: c, Channel: ch, Enabled: r.IntN(2) > 0})
			}
		}
	}
	return in
}

func TestDecideHasOneDecidingRung(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	seen := map[model.Reason]int{}
	for range 20_000 {
		in := randomInput(r)
		d := Decide(in)
		seen[d.Reason]++
		if allowed, reason := Allows(in); allowed != d.Allowed || reason != d.Reason {
			t.Fatalf("%+v: Allows says %t by %s, Decide %t by %s", in, allowed, reason, d.Allowed, d.Reason)
		}
		decided := slices.IndexFunc(d.Ladder, func(r model.Rung) bool { return r.Reason == d.Reason })
		for i, rung := range d.Ladder {
			want := model.RungPassed
			switch {
			case i > decided:
				want = model.RungNotReached
			case i == decided && d.Allowed:
				want = model.RungAllow
			case i == decided:
				want = model.RungBlock
			}
			if rung.Outcome != want || rung.Detail == "" {
				t.Fatalf("%+v: rung %s is %s (%q), want %s", in, rung.Reason, rung.Outcome, rung.Detail, want)
			}
		}
	}
	never := map[model.Reason]bool{model.ReasonSuppressed: true}
	for _, rule := range ladder {
		if seen[rule] == 0 && !never[rule] {
			t.Errorf("no input was decided by %s", rule)
		}
	}
}

// TestWiderChoicesNeverWin: with a choice for this very category and channel,
// what was chosen more widely changes nothing, but for a channel off
// everywhere.
func TestWiderChoicesNeverWin(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	for range 20_000 {
		in := randomInput(r)
		if in.Category == nil {
			continue
		}
		narrow := model.Choice{Category: comments, Channel: in.Channel, Enabled: r.IntN(2) > 0}
		in.Choices = slices.DeleteFunc(in.Choices, func(c model.Choice) bool {
			return c.Category == comments && c.Channel == in.Channel || c.Category == 0 && c.Channel == in.Channel
		})
		in.Choices = append(in.Choices, narrow)
		before, by := Allows(in)
		wide := model.Choice{Category: comments, Enabled: !narrow.Enabled}
		in.Choices = append(slices.DeleteFunc(in.Choices, func(c model.Choice) bool { return c.Category == comments && c.Channel == 0 }), wide)
		if after, _ := Allows(in); after != before {
			t.Fatalf("%+v: decided by %s, and %+v turned it over", in, by, wide)
		}
	}
}

func BenchmarkAllows(b *testing.B) {
	in := Input{
		Known: true, Enabled: true, Reachable: []model.Channel{model.ChannelInApp}, Channel: model.ChannelInApp,
		Category: category(nil), Choices: []model.Choice{off(0, email), off(comments, email)},
	}
	b.ReportAllocs()
	for b.Loop() {
		if ok, _ := Allows(in); !ok {
			b.Fatal("not allowed")
		}
	}
}
