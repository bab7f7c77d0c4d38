package user_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"carillon/model"
	"carillon/store/storetest"
	"carillon/user"
)

func (f *fixture) track(t *testing.T, identifier string, names ...string) {
	t.Helper()
	in := make([]user.EventInput, len(names))
	for i, name := range names {
		in[i] = user.EventInput{Name: name, OccurredAt: f.clock.Now().Add(time.Duration(i) * time.Second)}
	}
	if _, err := f.Track(t.Context(), f.env.ID, model.Once{}, identifier, in); err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) events(t *testing.T, u model.User) string {
	t.Helper()
	page, err := f.Events(t.Context(), u.EnvID, u.ID, "", model.PageRequest{Limit: 50})
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, len(page.Items))
	for i, e := range page.Items {
		names[i] = e.Name
	}
	return strings.Join(names, " ")
}

func (f *fixture) merge(t *testing.T, from, into string) model.MergeResult {
	t.Helper()
	out, err := f.MergeUsers(t.Context(), f.env.ID, model.Once{}, from, into, false)
	if err != nil {
		t.Fatalf("merging %s into %s: %v", from, into, err)
	}
	return out.Value
}

func TestMergeUsers(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		anon := f.identify(t, "anon-7", `{"plan":"free","color":"red"}`)
		f.clock.advance(time.Hour)
		ada := f.identify(t, "ada", `{"plan":"pro","email":"ada@example.com"}`)
		co := f.identify(t, "co", "")
		f.identifyIn(t, f.other, "anon-7", "")

		f.track(t, "anon-7", "Visited", "Compared")
		f.clock.advance(time.Minute)
		f.track(t, "ada", "Paid")
		f.register(t, anon, model.DeviceInput{Key: "phone", Platform: model.PlatformIOS, Token: "tok"})
		f.register(t, ada, model.DeviceInput{Key: "pad", Platform: model.PlatformIOS, Token: "tok-2"})
		f.add(t, anon, model.NewAddress{Channel: model.ChannelSlack, Value: "@anon"})
		if _, err := f.JoinAccounts(ctx, f.env.ID, model.Once{}, "anon-7", []model.MembershipChange{{Account: "co"}}); err != nil {
			t.Fatal(err)
		}
		both := storetest.Sent{Title: "to both"}
		storetest.Send(t, f.store, f.env.ID, both, anon.ID, ada.ID)
		storetest.Send(t, f.store, f.env.ID, storetest.Sent{Title: "to anon"}, anon.ID)
		read, _ := storetest.Send(t, f.store, f.env.ID, storetest.Sent{Title: "read by anon"}, anon.ID)
		if _, _, err := f.store.MarkAll(ctx, f.env.ID, model.Once{}, anon.ID, model.MarkRead, nil, nil); err != nil {
			t.Fatal(err)
		}
		storetest.Send(t, f.store, f.env.ID, storetest.Sent{Title: "late"}, anon.ID)

		tried, err := f.MergeUsers(ctx, f.env.ID, model.Once{}, "anon-7", "ada", true)
		if err != nil || len(f.hints.all) > 0 {
			t.Fatalf("dry run: %v, published %v", err, f.hints.all)
		}
		if got := f.events(t, anon); got != "Compared Visited" {
			t.Errorf("after a dry run anon's events are %q", got)
		}
		done := f.merge(t, "anon-7", "ada")
		if got, want := fmt.Sprint(done.Merge.Decisions), fmt.Sprint(tried.Value.Merge.Decisions); got != want {
			t.Errorf("decided %s; the dry run said %s", got, want)
		}

		now, err := f.Find(ctx, f.env.ID, "anon-7")
		if err != nil || now.ID != ada.ID || now.Identifier != "ada" || string(now.Profile.Attributes) != `{"color":"red","email":"ada@example.com","plan":"pro"}` || !now.SignedUpAt.Equal(anon.CreatedAt) {
			t.Errorf("anon-7 is %+v %s, %v; want ada, with what anon had besides, signed up when anon did", now, now.Profile.Attributes, err)
		}
		if got := f.events(t, now); got != "Paid Compared Visited" {
			t.Errorf("the events are %q", got)
		}
		if got := keysOf(f.devices(t, now)); len(got) != 2 {
			t.Errorf("the devices are %v", got)
		}
		if got := f.addresses(t, now); !slices.Contains(got, "SLACK ADDED @anon") {
			t.Errorf("the addresses are %v", got)
		}
		if m, err := f.Memberships(ctx, f.env.ID, []model.UserID{ada.ID}); err != nil || len(m[ada.ID]) != 1 || m[ada.ID][0].Account != co.ID {
			t.Errorf("memberships %v, %v", m, err)
		}

		open := false
		page, err := f.store.Inbox(ctx, f.env.ID, ada.ID, model.InboxFilter{Archived: &open}, model.PageRequest{Limit: 20})
		var got []string
		for _, n := range page.Items {
			mark := "unread "
			if !n.ReadAt.IsZero() {
				mark = "read "
			}
			got = append(got, mark+n.Content.Title)
		}
		slices.Sort(got)
		if want := []string{"read read by anon", "read to anon", "unread late", "unread to both"}; err != nil || !slices.Equal(got, want) {
			t.Errorf("the inbox is %v, %v; want %v", got, err, want)
		}
		if c := page.Counters; c.Total != 4 || c.Unread != 2 {
			t.Errorf("the counters are %+v", c)
		}
		if v, err := f.store.VerifyCounters(ctx, 5); err != nil || v.Drifted != 0 {
			t.Errorf("the counters drifted: %+v, %v", v, err)
		}
		if len(f.hints.all) != 2 || !f.hints.all[0].Gone || f.hints.all[0].Key != model.InboxKey(f.env.ID, anon.ID) || f.hints.all[1].Seq != page.Seq {
			t.Errorf("published %+v; want anon gone, and ada at %d", f.hints.all, page.Seq)
		}
		ch, err := f.store.Changes(ctx, f.env.ID, ada.ID, page.Seq-1)
		if err != nil || len(ch.Added) != 3 || !slices.ContainsFunc(ch.Added, func(n model.Notification) bool { return n.ID == read[0].ID }) {
			t.Errorf("a stream catches up with %d new items, %v; want 3", len(ch.Added), err)
		}

		// What comes late under the old identifier lands right.
		f.track(t, "anon-7", "Late")
		if got := f.events(t, now); !strings.Contains(got, "Late") {
			t.Errorf("a late event is not ada's: %q", got)
		}
		if again := f.identify(t, "anon-7", `{"late":true}`); again.ID != ada.ID {
			t.Errorf("identifying anon-7 again gives %+v", again)
		}
		rs, err := f.store.Recipients(ctx, model.RecipientQuery{Keys: []model.RecipientKey{{Env: f.env.ID, Identifier: "anon-7"}, {Env: f.env.ID, Identifier: "nobody"}}})
		if err != nil || rs[0].ID != ada.ID || rs[1].ID != 0 {
			t.Errorf("recipients %+v, %v", rs, err)
		}
		if elsewhere, err := f.Find(ctx, f.other.ID, "anon-7"); err != nil || elsewhere.ID == ada.ID {
			t.Errorf("in another environment anon-7 is %+v, %v", elsewhere, err)
		}
		// And chains hold: who was merged before goes along.
		f.merge(t, "ada", "co")
		if u, err := f.Find(ctx, f.env.ID, "anon-7"); err != nil || u.ID != co.ID {
			t.Errorf("after ada was merged into co, anon-7 is %+v, %v", u, err)
		}
		if m, err := f.Memberships(ctx, f.env.ID, []model.UserID{co.ID}); err != nil || len(m) != 0 {
			t.Errorf("co is a member of itself: %v, %v", m, err)
		}
		names, err := f.FormerIdentifiers(ctx, f.env.ID, co.ID)
		if err != nil || len(names) != 2 {
			t.Errorf("former identifiers %v, %v", names, err)
		}
		if all, err := f.Merges(ctx, f.env.ID, co.ID); err != nil || len(all) != 2 {
			t.Errorf("the records are %+v, %v", all, err)
		}
	})
}

func TestMergeRefuses(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.identify(t, "ada", "")
		f.identifyIn(t, f.other, "zoe", "")
		for name, tt := range map[string]struct {
			from, into string
			kind       model.Kind
		}{
			"Self": {"ada", "ada", model.KindInvalid}, "UnknownFrom": {"nobody", "ada", model.KindNotFound}, "UnknownInto": {"ada", "nobody", model.KindNotFound},
			"Elsewhere": {"zoe", "ada", model.KindNotFound}, "Broken": {"a\x00", "ada", model.KindNotFound},
		} {
			if _, err := f.MergeUsers(t.Context(), f.env.ID, model.Once{}, tt.from, tt.into, false); model.KindOf(err) != tt.kind {
				t.Errorf("%s: %v, want %s", name, err, tt.kind)
			}
		}
	})
}

// Two choices about one thing: the later one counts, and of two of one moment
// the stricter.
func TestMergeKeepsTheLaterChoice(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		old, young := f.identify(t, "old", ""), f.identify(t, "young", "")
		choose := func(u model.User, c model.Channel, on bool) {
			t.Helper()
			f.set(t, u, user.PreferenceInput{Channel: c, Enabled: &on})
		}
		choose(old, model.ChannelEmail, true)
		choose(young, model.ChannelSMS, true)
		choose(old, model.ChannelWhatsApp, true)
		choose(young, model.ChannelWhatsApp, false)
		f.clock.advance(time.Minute)
		choose(young, model.ChannelEmail, false)
		choose(old, model.ChannelSMS, false)
		f.merge(t, "old", "young")
		got, err := f.store.Choices(ctx, f.env.ID, young.ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range got {
			if c.Enabled {
				t.Errorf("%s is on: %+v", c.Channel, c)
			}
		}
		if len(got) != 3 {
			t.Errorf("choices %+v", got)
		}
	})
}

func TestChangeUser(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		change := func(ch model.UserChange) (model.Identified, error) {
			f.clock.advance(time.Second)
			out, err := f.Change(ctx, f.env.ID, model.Once{}, ch)
			return out.Value, err
		}
		account, on := model.UserAccount, true
		signed := time.Date(2020, 8, 11, 0, 0, 0, 0, time.UTC)
		merge, _ := f.Merge("gen-1", json.RawMessage(`{"email":"ada@example.com"}`))
		made, err := change(model.UserChange{Identifier: "gen-1", Unassigned: true, Merge: merge, Kind: &account, SignedUpAt: &signed, Archived: &on})
		if u := made.User; err != nil || !made.Created || !u.Unassigned || u.Kind != account || !u.Archived || !u.SignedUpAt.Equal(signed) {
			t.Fatalf("made %+v, %v", made, err)
		}
		if stored, err := f.Find(ctx, f.env.ID, "gen-1"); err != nil || !stored.Unassigned || stored.Kind != account || !stored.SignedUpAt.Equal(signed) || !stored.Archived {
			t.Errorf("stored %+v, %v", stored, err)
		}
		// The application gives the identifier, once.
		merge, _ = f.Merge("ada", json.RawMessage(`{"email":"ada@example.com"}`))
		ada, err := change(model.UserChange{Identifier: "ada", Match: model.UserMatch{Email: "ada@example.com", OnlyUnassigned: true}, Merge: merge})
		if err != nil || ada.Created || ada.User.ID != made.User.ID || ada.User.Identifier != "ada" || ada.User.Unassigned {
			t.Errorf("assigned %+v, %v", ada, err)
		}
		second, err := change(model.UserChange{Identifier: "ada-2", Match: model.UserMatch{Email: "ada@example.com", OnlyUnassigned: true}, Merge: merge})
		if err != nil || !second.Created {
			t.Errorf("the identifier of one who has one was changed: %+v, %v", second, err)
		}

		// By the old name it is the same user.
		if u, err := change(model.UserChange{Identifier: "gen-1", MustExist: true}); err != nil || u.User.ID != made.User.ID {
			t.Errorf("by the old name %+v, %v", u, err)
		}
		if _, err := change(model.UserChange{Identifier: "gen-1", MustCreate: true}); model.KindOf(err) != model.KindConflict {
			t.Errorf("made again: %v", err)
		}
		if _, err := change(model.UserChange{Identifier: "ada-2", Rename: "gen-1"}); model.KindOf(err) != model.KindConflict {
			t.Errorf("took a former identifier of another: %v", err)
		}
		if _, err := change(model.UserChange{Identifier: "nobody", MustExist: true}); model.KindOf(err) != model.KindNotFound {
			t.Errorf("unknown: %v", err)
		}
		back, err := change(model.UserChange{Identifier: "ada", Rename: "gen-1"})
		if err != nil || back.User.Identifier != "gen-1" {
			t.Errorf("renamed back: %+v, %v", back, err)
		}
		if names, err := f.FormerIdentifiers(ctx, f.env.ID, made.User.ID); err != nil || !slices.Equal(names, []string{"ada"}) {
			t.Errorf("former identifiers %v, %v", names, err)
		}
	})
}

// Whoever is renamed or merged while they are identified is one user all the
// same.
func TestIdentifyWhileMerging(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.identify(t, "anon", "")
		ada := f.identify(t, "ada", "")
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				for n := range 5 {
					if _, err := f.Identify(t.Context(), f.env.ID, model.Once{}, model.IdentifyInput{Identifier: "anon", Attributes: json.RawMessage(fmt.Sprintf(`{"a%d":%d}`, i, n))}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Go(func() {
			if _, err := f.MergeUsers(t.Context(), f.env.ID, model.Once{}, "anon", "ada", false); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		u, err := f.Find(t.Context(), f.env.ID, "anon")
		if err != nil || u.ID != ada.ID || u.Profile.Attribute("a0") != "" {
			t.Errorf("anon is %+v, %v", u, err)
		}
		var got map[string]int
		if err := json.Unmarshal(u.Profile.Attributes, &got); err != nil || len(got) != 4 || got["a3"] != 4 {
			t.Errorf("the profile is %s", u.Profile.Attributes)
		}
	})
}

func TestPropertiesAreNoted(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.identify(t, "ada", `{"plan":"pro","age":7,"vip":true,"since":"2020-08-11","tags":["a"],"email":"ada@example.com"}`)
		f.identify(t, "bob", `{"plan":7}`)
		f.identifyIn(t, f.other, "ada", `{"elsewhere":1}`)
		got, err := f.Properties(t.Context(), f.env.ID)
		names := make([]string, len(got))
		for i, p := range got {
			names[i] = fmt.Sprintf("%s %s %t", p.Name, p.Type, p.Shown)
		}
		if want := "age NUMBER true, plan TEXT true, since DATE true, tags LIST true, vip BOOLEAN true"; err != nil || strings.Join(names, ", ") != want {
			t.Errorf("properties %v, %v; want %s", names, err, want)
		}
	})
}
