package user_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"carillon/model"
)

func TestFind(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ada := f.identify(t, "ada", "")
		eve := f.identifyIn(t, f.other, "eve", "")
		f.unchanged(t, ada)
		for _, identifier := range []string{"eve", "Ada", "ada ", "", "a\x00da", "ada\x00", "\xff", strings.Repeat("x", 300)} {
			if u, err := f.Find(t.Context(), f.env.ID, identifier); model.KindOf(err) != model.KindNotFound {
				t.Errorf("Find(%q) = %+v, %v; want it not found", identifier, u, err)
			}
		}
		byID, err := f.ByIDs(t.Context(), f.env.ID, []model.UserID{ada.ID, eve.ID, 0, -1})
		if err != nil || len(byID) != 1 || !same(byID[ada.ID], ada) {
			t.Errorf("ByIDs = %+v, %v; want ada alone", byID, err)
		}
		if none, err := f.ByIDs(t.Context(), f.env.ID, nil); err != nil || len(none) != 0 {
			t.Errorf("ByIDs of none = %+v, %v", none, err)
		}
	})
}

func TestList(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		// Made in two moments, so that the id decides within each. In byte
		// order: capitals first, _ is no wildcard, é comes after z.
		names := []string{"b", "a", "a_c", "abc", "B", "é", "a%", "z", "\ue000"}
		for i, name := range names {
			if i == 4 {
				f.clock.advance(time.Second)
			}
			f.identify(t, name, fmt.Sprintf(`{"email":"u%d@example.com"}`, i%2))
		}
		f.identifyIn(t, f.other, "a-elsewhere", `{"email":"u0@example.com"}`)
		if _, err := f.SetEnabled(t.Context(), f.env.ID, model.Once{}, "abc", false); err != nil {
			t.Fatal(err)
		}
		yes, no := true, false
		byName := []string{"B", "a", "a%", "a_c", "abc", "b", "z", "é", "\ue000"}
		tests := []struct {
			name   string
			filter model.UserFilter
			order  model.UserOrder
			want   []string
		}{
			{"NewestFirst", model.UserFilter{}, model.UserOrder{}, reversed(names)},
			{"OldestFirst", model.UserFilter{}, model.UserOrder{Ascending: true}, names},
			{"ByIdentifier", model.UserFilter{}, model.UserOrder{By: model.ByIdentifier, Ascending: true}, byName},
			{"ByIdentifierDown", model.UserFilter{}, model.UserOrder{By: model.ByIdentifier}, reversed(byName)},
			{"Disabled", model.UserFilter{Enabled: &no}, model.UserOrder{}, []string{"abc"}},
			{"Enabled", model.UserFilter{Enabled: &yes, IdentifierPrefix: "a"}, model.UserOrder{By: model.ByIdentifier, Ascending: true}, []string{"a", "a%", "a_c"}},
			{"PrefixIsNoPattern", model.UserFilter{IdentifierPrefix: "a_"}, model.UserOrder{}, []string{"a_c"}},
			{"PrefixPercent", model.UserFilter{IdentifierPrefix: "%"}, model.UserOrder{}, nil},
			{"PrefixCaseCounts", model.UserFilter{IdentifierPrefix: "B"}, model.UserOrder{}, []string{"B"}},
			{"PrefixBeyondASCII", model.UserFilter{IdentifierPrefix: "é"}, model.UserOrder{}, []string{"é"}},
			{"PrefixBeforeSurrogates", model.UserFilter{IdentifierPrefix: "\ud7ff"}, model.UserOrder{}, nil},
			{"PrefixHighest", model.UserFilter{IdentifierPrefix: "\U0010ffff"}, model.UserOrder{}, nil},
			{"Email", model.UserFilter{Email: "u1@example.com"}, model.UserOrder{Ascending: true}, []string{"a", "abc", "é", "z"}},
			{"EmailWithName", model.UserFilter{Email: "U <u1@example.com>", Enabled: &no}, model.UserOrder{}, []string{"abc"}},
			{"EmailOfNobody", model.UserFilter{Email: "nobody@example.com"}, model.UserOrder{}, nil},
		}
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				for limit := 1; limit <= len(names)+1; limit += 2 {
					if got := f.walk(t, tt.filter, tt.order, limit, false); !slices.Equal(got, tt.want) {
						t.Errorf("%d at a time: %q, want %q", limit, got, tt.want)
					}
					if got := f.walk(t, tt.filter, tt.order, limit, true); !slices.Equal(got, tt.want) {
						t.Errorf("%d at a time from the end: %q, want %q", limit, got, tt.want)
					}
				}
			})
		}
	})
}

// walk pages through a list, from its start or its end, and returns the
// identifiers in list order.
func (f *fixture) walk(t *testing.T, filter model.UserFilter, order model.UserOrder, limit int, backward bool) []string {
	t.Helper()
	var out []string
	page := model.PageRequest{Limit: limit, Backward: backward}
	for range 20 {
		got, err := f.List(t.Context(), f.env.ID, filter, order, page)
		if err != nil {
			t.Fatal(err)
		}
		names := make([]string, len(got.Items))
		for i, u := range got.Items {
			names[i] = u.Identifier
		}
		if backward {
			out = append(names, out...)
		} else {
			out = append(out, names...)
		}
		if !got.HasMore {
			return out
		}
		edge := got.Items[len(got.Items)-1]
		if backward {
			edge = got.Items[0]
		}
		key := order.Key(edge)
		k := &key
		page.After, page.Before = k, nil
		if backward {
			page.After, page.Before = nil, k
		}
	}
	t.Fatal("the list does not end")
	return nil
}

func reversed(l []string) []string {
	l = slices.Clone(l)
	slices.Reverse(l)
	return l
}

func TestListRefuses(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		page := model.PageRequest{Limit: 10}
		_, err := f.List(t.Context(), f.env.ID, model.UserFilter{IdentifierPrefix: "a\x00"}, model.UserOrder{}, page)
		wantProblem(t, err, model.KindInvalid, "filter.identifierPrefix", "control")
		_, err = f.List(t.Context(), f.env.ID, model.UserFilter{Email: "no address"}, model.UserOrder{}, page)
		wantProblem(t, err, model.KindInvalid, "filter.email", "e-mail")
		page.After = &model.PageKey{Text: "a\x00"}
		_, err = f.List(t.Context(), f.env.ID, model.UserFilter{}, model.UserOrder{By: model.ByIdentifier}, page)
		wantProblem(t, err, model.KindInvalid, "after", "cursor")
	})
}

func TestSetEnabled(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		was := f.identify(t, "ada", `{"a":1}`)
		f.clock.advance(time.Second)
		out, err := f.SetEnabled(ctx, f.env.ID, model.Once{}, "ada", true)
		if err != nil || !same(out.Value, was) {
			t.Errorf("enabling one who is enabled: %+v, %v; want no change", out, err)
		}
		off, err := f.SetEnabled(ctx, f.env.ID, key("setUserEnabled", "k"), "ada", false)
		if err != nil || off.Value.Enabled || !off.Value.UpdatedAt.After(was.UpdatedAt) || off.Value.Profile.Version != 1 {
			t.Fatalf("disabling: %+v, %v", off, err)
		}
		f.unchanged(t, off.Value)
		on, err := f.SetEnabled(ctx, f.env.ID, model.Once{}, "ada", true)
		if err != nil || !on.Value.Enabled {
			t.Fatalf("enabling: %+v, %v", on, err)
		}
		if again, err := f.SetEnabled(ctx, f.env.ID, key("setUserEnabled", "k"), "ada", false); err != nil || !again.Replayed || again.Value.Enabled {
			t.Errorf("again: %+v, %v; want the first answer", again, err)
		}
		f.unchanged(t, on.Value)
		for _, identifier := range []string{"nobody", "", "a\x00"} {
			if _, err := f.SetEnabled(ctx, f.env.ID, model.Once{}, identifier, false); model.KindOf(err) != model.KindNotFound {
				t.Errorf("SetEnabled(%q): %v, want it not found", identifier, err)
			}
		}
		if _, err := f.SetEnabled(ctx, f.other.ID, model.Once{}, "ada", false); model.KindOf(err) != model.KindNotFound {
			t.Errorf("in another environment: %v, want it not found", err)
		}
		f.unchanged(t, on.Value)
	})
}

func TestDelete(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		ada := f.identify(t, "ada", `{"a":1}`)
		namesake := f.identifyIn(t, f.other, "ada", `{"a":2}`)
		f.register(t, ada, model.DeviceInput{Key: "phone", Platform: model.PlatformIOS})

		out, err := f.Delete(ctx, f.env.ID, key("deleteUser", "k"), "ada")
		if err != nil || out.Replayed || out.Value != ada.ID {
			t.Fatalf("deleting: %+v, %v", out, err)
		}
		want := model.Hint{Key: model.InboxKey(f.env.ID, ada.ID), Gone: true}
		if len(f.hints.all) != 1 || f.hints.all[0] != want {
			t.Errorf("published %+v, want %+v", f.hints.all, want)
		}
		if _, err := f.Find(ctx, f.env.ID, "ada"); model.KindOf(err) != model.KindNotFound {
			t.Errorf("afterwards Find gives %v", err)
		}
		if ds, err := f.Devices(ctx, f.env.ID, ada.ID); err != nil || len(ds) != 0 {
			t.Errorf("afterwards there are the devices %+v, %v", ds, err)
		}
		f.unchanged(t, namesake)

		if again, err := f.Delete(ctx, f.env.ID, key("deleteUser", "k"), "ada"); err != nil || !again.Replayed || again.Value != ada.ID {
			t.Errorf("again with the key: %+v, %v; want the first answer", again, err)
		}
		if _, err := f.Delete(ctx, f.env.ID, model.Once{}, "ada"); model.KindOf(err) != model.KindNotFound {
			t.Errorf("again without a key: %v, want it not found", err)
		}
		if len(f.hints.all) != 1 {
			t.Errorf("published %+v, want nothing more", f.hints.all)
		}
		if u := f.identify(t, "ada", ""); u.ID == ada.ID || string(u.Profile.Attributes) != "{}" {
			t.Errorf("made again: %+v (%s); want another user", u, u.Profile.Attributes)
		}
		for _, identifier := range []string{"", "a\x00"} {
			if _, err := f.Delete(ctx, f.env.ID, model.Once{}, identifier); model.KindOf(err) != model.KindNotFound {
				t.Errorf("Delete(%q): %v, want it not found", identifier, err)
			}
		}
	})
}
