package user_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"carillon/model"
	"carillon/user"
)

var (
	yes = ptr(true)
	no  = ptr(false)
)

func ptr[T any](v T) *T { return &v }

// category makes a category in the fixture's first environment.
func (f *fixture) category(t *testing.T, c model.Category) model.Category {
	t.Helper()
	return f.categoryIn(t, f.env, c)
}

func (f *fixture) categoryIn(t *testing.T, env model.Environment, c model.Category) model.Category {
	t.Helper()
	c.Name = c.Identifier
	out, err := f.store.CreateCategory(t.Context(), env.ID, model.Once{}, c)
	if err != nil {
		t.Fatal(err)
	}
	return out.Value
}

func (f *fixture) set(t *testing.T, u model.User, changes ...user.PreferenceInput) []model.CategoryPreference {
	t.Helper()
	out, err := f.SetPreferences(t.Context(), f.env, model.Once{}, u.ID, changes)
	if err != nil {
		t.Fatal(err)
	}
	return out.Value
}

// inApp shows the state of the inbox channel of each category.
func inApp(ps []model.CategoryPreference) []string {
	out := make([]string, len(ps))
	for i, p := range ps {
		c := p.Channels[0]
		out[i] = fmt.Sprintf("%s %t %s %t", p.Category.Identifier, c.Enabled, c.Reason, c.Explicit)
	}
	return out
}

func (f *fixture) wantPreferences(t *testing.T, u model.User, want ...string) {
	t.Helper()
	ps, err := f.Preferences(t.Context(), f.env, u.ID)
	if got := inApp(ps); err != nil || !slices.Equal(got, want) {
		t.Errorf("the preferences are %q, %v; want %q", got, err, want)
	}
}

func TestSetPreferences(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ada, eve := f.identify(t, "ada", ""), f.identify(t, "eve", "")
		comments := f.category(t, model.Category{Identifier: "comments", DefaultEnabled: true, HideInPrefs: true})
		f.category(t, model.Category{Identifier: "alerts", DefaultEnabled: true, RequiredChannels: []model.Channel{model.ChannelInApp}})
		f.category(t, model.Category{Identifier: "news", ChannelDefaults: map[model.Channel]bool{model.ChannelEmail: true}})
		f.categoryIn(t, f.other, model.Category{Identifier: "elsewhere"})
		f.wantPreferences(t, ada, "alerts true REQUIRED false", "comments true CATEGORY_DEFAULT false", "news false CATEGORY_DEFAULT false")

		got := f.set(t, ada,
			user.PreferenceInput{Category: "comments", Channel: model.ChannelInApp, Enabled: no},
			user.PreferenceInput{Category: "news", Enabled: yes},
			user.PreferenceInput{Category: "alerts", Enabled: no}) // the whole category: what is required stays on
		want := []string{"alerts true REQUIRED false", "comments false USER_CATEGORY_CHANNEL true", "news true USER_CATEGORY true"}
		if !slices.Equal(inApp(got), want) {
			t.Errorf("SetPreferences gives %q, want %q", inApp(got), want)
		}
		f.wantPreferences(t, ada, want...)
		f.wantPreferences(t, eve, "alerts true REQUIRED false", "comments true CATEGORY_DEFAULT false", "news false CATEGORY_DEFAULT false")
		for _, p := range got {
			if len(p.Channels) != 1 || p.Channels[0].Channel != model.ChannelInApp {
				t.Errorf("%s has the channels %+v, want the one in use", p.Category.Identifier, p.Channels)
			}
		}

		// A wider choice hides narrower ones, and gives them back.
		f.set(t, ada, user.PreferenceInput{Channel: model.ChannelInApp, Enabled: no})
		f.wantPreferences(t, ada, "alerts true REQUIRED false", "comments false USER_CHANNEL_OFF true", "news false USER_CHANNEL_OFF true")
		f.set(t, ada, user.PreferenceInput{Channel: model.ChannelInApp, Enabled: yes})
		f.wantPreferences(t, ada, want...)

		// The later of two changes about the same counts; nil forgets.
		f.set(t, ada,
			user.PreferenceInput{Category: "comments", Channel: model.ChannelInApp, Enabled: yes},
			user.PreferenceInput{Category: "news"},
			user.PreferenceInput{Category: "news", Channel: model.ChannelInApp},
			user.PreferenceInput{Category: "comments", Channel: model.ChannelInApp})
		f.wantPreferences(t, ada, "alerts true REQUIRED false", "comments true CATEGORY_DEFAULT false", "news false CATEGORY_DEFAULT false")

		// A deleted category takes the choices about it along.
		f.set(t, ada, user.PreferenceInput{Category: "comments", Enabled: no})
		if _, err := f.store.DeleteCategory(t.Context(), f.env.ID, model.Once{}, "comments"); err != nil {
			t.Fatal(err)
		}
		choices, err := f.store.Choices(t.Context(), f.env.ID, ada.ID)
		if err != nil || slices.ContainsFunc(choices, func(c model.Choice) bool { return c.Category == comments.ID }) {
			t.Errorf("choices about the deleted category stay: %+v, %v", choices, err)
		}
	})
}

func TestSetPreferencesOnce(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		ada := f.identify(t, "ada", "")
		f.category(t, model.Category{Identifier: "comments", DefaultEnabled: true, ChannelDefaults: map[model.Channel]bool{model.ChannelSMS: false}})
		changes := []user.PreferenceInput{{Category: "comments", Enabled: no}}
		first, err := f.SetPreferences(ctx, f.env, key("setPreferences", "k"), ada.ID, changes)
		if err != nil {
			t.Fatal(err)
		}
		f.set(t, ada, user.PreferenceInput{Category: "comments", Enabled: yes})
		again, err := f.SetPreferences(ctx, f.env, key("setPreferences", "k"), ada.ID, changes)
		if err != nil || !again.Replayed || !slices.Equal(inApp(again.Value), inApp(first.Value)) || again.Value[0].Category.ChannelDefaults[model.ChannelSMS] {
			t.Errorf("again: %+v, %v; want the first answer %+v", again, err, first)
		}
		f.wantPreferences(t, ada, "comments true USER_CATEGORY true")
		// The answer stays, even when the same call would now be refused.
		if _, err := f.store.DeleteCategory(ctx, f.env.ID, model.Once{}, "comments"); err != nil {
			t.Fatal(err)
		}
		if again, err := f.SetPreferences(ctx, f.env, key("setPreferences", "k"), ada.ID, changes); err != nil || !again.Replayed {
			t.Errorf("after the category was deleted: %+v, %v; want the first answer", again, err)
		}
	})
}

func TestSetPreferencesRefuses(t *testing.T) {
	tests := []struct {
		name       string
		changes    []user.PreferenceInput
		path, text string
	}{
		{"Nothing", nil, "changes", "at least one"},
		{"TooMany", make([]user.PreferenceInput, 501), "changes", "at most 500"},
		{"AboutNothing", []user.PreferenceInput{{Category: "comments"}, {Enabled: no}}, "changes.1", "category, a channel, or both"},
		{"NoChannel", []user.PreferenceInput{{Channel: 99, Enabled: no}}, "changes.0.channel", "channel"},
		{"UnknownCategory", []user.PreferenceInput{{Category: "comments", Enabled: no}, {Category: "gone", Enabled: no}}, "changes.1.category", "names no category"},
		{"OtherEnvironmentsCategory", []user.PreferenceInput{{Category: "elsewhere", Enabled: no}}, "changes.0.category", "names no category"},
		{"NULInCategory", []user.PreferenceInput{{Category: "a\x00", Enabled: no}}, "changes.0.category", "names no category"},
		{"RequiredOff", []user.PreferenceInput{{Category: "alerts", Channel: model.ChannelSMS, Enabled: no}}, "changes.0.enabled", "requires SMS"},
		{"RequiredOffAndOn", []user.PreferenceInput{{Category: "alerts", Channel: model.ChannelSMS, Enabled: no}, {Category: "alerts", Channel: model.ChannelSMS, Enabled: yes}}, "changes.0.enabled", "requires SMS"},
	}
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		ada := f.identify(t, "ada", "")
		f.category(t, model.Category{Identifier: "comments", DefaultEnabled: true})
		f.category(t, model.Category{Identifier: "alerts", RequiredChannels: []model.Channel{model.ChannelSMS}})
		f.categoryIn(t, f.other, model.Category{Identifier: "elsewhere"})
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				_, err := f.SetPreferences(ctx, f.env, model.Once{}, ada.ID, tt.changes)
				wantProblem(t, err, model.KindInvalid, tt.path, tt.text)
			})
		}
		for name, env := range map[string]model.Environment{"nobody": f.env, "another environment's user": f.other} {
			id := ada.ID
			if env.ID == f.env.ID {
				id = 12345
			}
			_, err := f.SetPreferences(ctx, env, model.Once{}, id, []user.PreferenceInput{{Channel: model.ChannelSMS, Enabled: no}})
			if model.KindOf(err) != model.KindNotFound {
				t.Errorf("%s: %v, want the user not found", name, err)
			}
		}
		if cs, err := f.store.Choices(ctx, f.env.ID, ada.ID); err != nil || len(cs) != 0 {
			t.Errorf("choices were made: %+v, %v", cs, err)
		}
	})
}

func TestSetPreferencesTogether(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ada := f.identify(t, "ada", "")
		names := numbered(6, "category %d")
		for _, name := range names {
			f.category(t, model.Category{Identifier: name, DefaultEnabled: true})
		}
		var wg sync.WaitGroup
		for i := range names {
			wg.Go(func() {
				changes := []user.PreferenceInput{{Category: names[i], Enabled: no}}
				for _, name := range names {
					changes = append(changes, user.PreferenceInput{Category: name, Channel: model.ChannelSMS, Enabled: ptr(i%2 == 0)})
				}
				if i%2 == 0 {
					slices.Reverse(changes)
				}
				if _, err := f.SetPreferences(t.Context(), f.env, model.Once{}, ada.ID, changes); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		ps, err := f.Preferences(t.Context(), f.env, ada.ID)
		for _, p := range ps {
			if p.Channels[0].Enabled {
				t.Errorf("the choice about %s was lost", p.Category.Identifier)
			}
		}
		if err != nil || len(ps) != len(names) {
			t.Errorf("got %d preferences, %v", len(ps), err)
		}
	})
}

func TestExplain(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		ada := f.identify(t, "ada", `{"email":"ada@example.com"}`)
		f.identifyIn(t, f.other, "eve", "")
		f.category(t, model.Category{Identifier: "comments", DefaultEnabled: true})
		f.categoryIn(t, f.other, model.Category{Identifier: "elsewhere"})
		f.set(t, ada, user.PreferenceInput{Category: "comments", Enabled: no})
		f.register(t, ada, model.DeviceInput{Key: "phone", Platform: model.PlatformIOS, Token: "t"})
		noInbox := f.env
		noInbox.Settings.ChannelsOff = []model.Channel{model.ChannelInApp}

		tests := []struct {
			name, user, category string
			env                  model.Environment
			channel              model.Channel
			want                 bool
			reason               model.Reason
		}{
			{"Default", "ada", "", f.env, model.ChannelInApp, true, model.ReasonEnvDefault},
			{"Choice", "ada", "comments", f.env, model.ChannelInApp, false, model.ReasonUserCategory},
			{"NoAddress", "ada", "", f.env, model.ChannelSMS, false, model.ReasonNoAddress},
			{"NoProvider", "ada", "", f.env, model.ChannelEmail, false, model.ReasonAdminOff},
			{"NoProviderOfPush", "ada", "", f.env, model.ChannelMobilePush, false, model.ReasonAdminOff},
			{"ChannelOff", "ada", "", noInbox, model.ChannelInApp, false, model.ReasonAdminOff},
			{"Nobody", "nobody", "comments", f.env, model.ChannelInApp, false, model.ReasonUserUnknown},
			{"OtherEnvironmentsUser", "eve", "", f.env, model.ChannelInApp, false, model.ReasonUserUnknown},
			{"NoIdentifier", "a\x00", "", f.env, model.ChannelInApp, false, model.ReasonUserUnknown},
		}
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				d, err := f.Explain(ctx, tt.env, tt.user, tt.category, tt.channel)
				if err != nil || d.Allowed != tt.want || d.Reason != tt.reason || len(d.Ladder) != 13 {
					t.Errorf("got %t by %s over %d rungs, %v; want %t by %s over 13", d.Allowed, d.Reason, len(d.Ladder), err, tt.want, tt.reason)
				}
			})
		}
		if _, err := f.SetEnabled(ctx, f.env.ID, model.Once{}, "ada", false); err != nil {
			t.Fatal(err)
		}
		if d, err := f.Explain(ctx, f.env, "ada", "", model.ChannelInApp); err != nil || d.Reason != model.ReasonUserDisabled {
			t.Errorf("of a disabled user: %s, %v", d.Reason, err)
		}
		for _, category := range []string{"gone", "elsewhere", "a\x00"} {
			_, err := f.Explain(ctx, f.env, "ada", category, model.ChannelInApp)
			wantProblem(t, err, model.KindNotFound, "category", "names no category")
		}
		if _, err := f.Explain(ctx, f.env, "ada", "", 0); model.KindOf(err) != model.KindInvalid {
			t.Errorf("without a channel: %v, want it refused", err)
		}
	})
}

// TestPreferencesStayInTheirEnvironment: asked for in another environment, a
// user has that environment's categories and chose nothing.
func TestPreferencesStayInTheirEnvironment(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ada := f.identify(t, "ada", "")
		f.category(t, model.Category{Identifier: "comments", DefaultEnabled: true})
		f.categoryIn(t, f.other, model.Category{Identifier: "elsewhere", DefaultEnabled: true})
		f.set(t, ada, user.PreferenceInput{Channel: model.ChannelInApp, Enabled: no})
		ps, err := f.Preferences(t.Context(), f.other, ada.ID)
		if got, want := inApp(ps), []string{"elsewhere true CATEGORY_DEFAULT false"}; err != nil || !slices.Equal(got, want) {
			t.Errorf("in the other environment: %q, %v; want %q", got, err, want)
		}
	})
}

// TestPreferencesAreWhatSendsSee: the recipient that a send plans with carries
// exactly the choices made here.
func TestPreferencesAreWhatSendsSee(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ada := f.identify(t, "ada", `{"phoneNumber":"+15551234567"}`)
		comments := f.category(t, model.Category{Identifier: "comments"})
		f.clock.advance(time.Second)
		f.set(t, ada,
			user.PreferenceInput{Category: "comments", Channel: model.ChannelSMS, Enabled: yes},
			user.PreferenceInput{Channel: model.ChannelEmail, Enabled: no})
		rs, err := f.store.Recipients(t.Context(), model.RecipientQuery{
			Keys: []model.RecipientKey{{Env: f.env.ID, Identifier: "ada"}}, Categories: []model.CategoryID{comments.ID}, Addresses: true,
		})
		if err != nil || len(rs) != 1 || rs[0].ID != ada.ID || !slices.Contains(rs[0].Reachable, model.ChannelSMS) {
			t.Fatalf("Recipients = %+v, %v", rs, err)
		}
		for _, want := range []model.Choice{{Category: comments.ID, Channel: model.ChannelSMS, Enabled: true}, {Channel: model.ChannelEmail}} {
			if !slices.ContainsFunc(rs[0].Choices, func(c model.Choice) bool {
				return c.Category == want.Category && c.Channel == want.Channel && c.Enabled == want.Enabled && c.UpdatedAt.Equal(f.clock.Now())
			}) {
				t.Errorf("the choices are %+v, want %+v among them", rs[0].Choices, want)
			}
		}
	})
}
