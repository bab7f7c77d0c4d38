package user_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"carillon/model"
)

// people are listed, one second apart, in the order of their names.
var people = []struct{ identifier, attributes string }{
	{"ada", `{"firstName":"Ada","lastName":"King Lovelace","email":"Ada@example.com","phoneNumber":"+15551230001","plan":"gold","seats":5,"since":"2026-01-02","beta":true,"tags":["math","x"]}`},
	{"bob", `{"firstName":"Bob","email":"bob@example.org","phoneNumber":"+4930123456","plan":"Golden age","seats":12.5,"since":"2026-01-02T01:00:00+02:00","beta":false,"nested":{"plan":"gold"}}`},
	{"Cleo", `{"firstName":"Cléo","lastName":"Adams","plan":"free","seats":5.0,"since":"2025-12-31","tags":["math"]}`},
	{"dan ada", `{"plan":7,"seats":"5","since":"soon","tags":"math","nested":{"plan":"gold","seats":5}}`},
	{"eve", ``},
}

// populate makes the people.
func (f *fixture) populate(t *testing.T) {
	t.Helper()
	for _, p := range people {
		f.identify(t, p.identifier, p.attributes)
		f.clock.advance(time.Second)
	}
	f.identifyIn(t, f.other, "ada-elsewhere", people[0].attributes)
	no, yes, account := false, true, model.UserAccount
	signedUp := time.Date(2020, 5, 1, 0, 0, 0, 0, time.UTC)
	for _, ch := range []model.UserChange{
		{Identifier: "bob", Enabled: &no},
		{Identifier: "Cleo", Archived: &yes, SignedUpAt: &signedUp},
		{Identifier: "eve", Kind: &account},
	} {
		ch.MustExist = true
		if _, err := f.Change(t.Context(), f.env.ID, model.Once{}, ch); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.JoinAccounts(t.Context(), f.env.ID, model.Once{}, "ada", []model.MembershipChange{{Account: "eve"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.store.CreateTopic(t.Context(), f.env.ID, model.Once{}, "news", "News", model.TopicDetails{}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.store.SubscribeToTopic(t.Context(), f.env.ID, model.Once{}, "news", []model.TopicMember{{Identifier: "bob"}, {Identifier: "eve"}}); err != nil {
		t.Fatal(err)
	}
}

func property(name string, test model.PropertyTest, value string) model.PropertyFilter {
	return model.PropertyFilter{Name: name, Test: test, Value: json.RawMessage(value)}
}

func TestListFilters(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.populate(t)
		yes, no := true, false
		second := func(n int) time.Time { return time.Date(2026, 1, 2, 3, 4, 5+n, 6000, time.UTC) }
		properties := func(all ...model.PropertyFilter) model.UserFilter { return model.UserFilter{Properties: all} }
		tests := map[string]struct {
			filter model.UserFilter
			want   []string
		}{
			"Disabled":     {model.UserFilter{Enabled: &no}, []string{"bob"}},
			"Archived":     {model.UserFilter{Archived: &yes}, []string{"Cleo"}},
			"NotArchived":  {model.UserFilter{Archived: &no, Enabled: &yes}, []string{"ada", "dan ada", "eve"}},
			"Accounts":     {model.UserFilter{Kind: model.UserAccount}, []string{"eve"}},
			"People":       {model.UserFilter{Kind: model.UserPerson, Archived: &no}, []string{"ada", "bob", "dan ada"}},
			"Topic":        {model.UserFilter{TopicName: "news"}, []string{"bob", "eve"}},
			"TopicAndKind": {model.UserFilter{TopicName: "news", Kind: model.UserPerson}, []string{"bob"}},
			"Account":      {model.UserFilter{AccountName: "eve"}, []string{"ada"}},
			"Created":      {model.UserFilter{CreatedAt: model.TimeRange{Since: second(1), Until: second(3)}}, []string{"bob", "Cleo"}},
			"SignedUp":     {model.UserFilter{SignedUpAt: model.TimeRange{Until: second(1)}}, []string{"ada", "Cleo"}},

			"SearchIdentifier":  {model.UserFilter{Search: "CLE"}, []string{"Cleo"}},
			"SearchName":        {model.UserFilter{Search: "king"}, []string{"ada"}},
			"SearchBeyondASCII": {model.UserFilter{Search: "cléo"}, []string{"Cleo"}},
			"SearchMail":        {model.UserFilter{Search: "ada@EX"}, []string{"ada"}},
			"SearchPhone":       {model.UserFilter{Search: "0049 (30) 123"}, []string{"bob"}},
			"SearchDigits":      {model.UserFilter{Search: "1555"}, []string{"ada"}},
			"SearchTwoWords":    {model.UserFilter{Search: "Lovelace ada"}, nil},
			"SearchBothNames":   {model.UserFilter{Search: "king ada"}, []string{"ada"}},
			"SearchWhole":       {model.UserFilter{Search: " dan a"}, []string{"dan ada"}},
			"SearchSeveral":     {model.UserFilter{Search: "ada"}, []string{"ada", "Cleo"}},
			"SearchNoPattern":   {model.UserFilter{Search: "a%"}, nil},

			"TextEquals":       {properties(property("plan", model.PropertyEquals, `"gold"`)), []string{"ada"}},
			"TextContains":     {properties(property("plan", model.PropertyContains, `"GOLD"`)), []string{"ada", "bob"}},
			"NumberEquals":     {properties(property("seats", model.PropertyEquals, `5`)), []string{"ada", "Cleo"}},
			"NumberTiny":       {properties(property("seats", model.PropertyEquals, `1e-400000`)), nil},
			"NumberGreater":    {properties(property("seats", model.PropertyGreater, `5`)), []string{"bob"}},
			"NumberLess":       {properties(property("seats", model.PropertyLess, `1e1`)), []string{"ada", "Cleo"}},
			"DateEquals":       {properties(property("since", model.PropertyEquals, `"2026-01-01T23:00:00Z"`)), []string{"bob"}},
			"DateGreater":      {properties(property("since", model.PropertyGreater, `"2026-01-01"`)), []string{"ada", "bob"}},
			"DateLess":         {properties(property("since", model.PropertyLess, `"2026-01-02"`)), []string{"bob", "Cleo"}},
			"Boolean":          {properties(property("beta", model.PropertyEquals, `false`)), []string{"bob"}},
			"ListContains":     {properties(property("tags", model.PropertyContains, `"math"`)), []string{"ada", "Cleo", "dan ada"}},
			"WellKnown":        {properties(property("lastName", model.PropertyContains, `"ada"`)), []string{"Cleo"}},
			"SeveralTogether":  {model.UserFilter{Enabled: &yes, Properties: []model.PropertyFilter{property("seats", model.PropertyEquals, `5`), property("plan", model.PropertyEquals, `"free"`)}}, []string{"Cleo"}},
			"NobodyHasSuch":    {properties(property("plan", model.PropertyEquals, `"silver"`)), nil},
			"NobodyInTheRange": {model.UserFilter{CreatedAt: model.TimeRange{Since: second(900)}}, nil},
		}
		for name, tt := range tests {
			t.Run(name, func(t *testing.T) {
				for _, by := range []model.UserOrderKey{model.ByCreation, model.ByIdentifier, model.BySignUp, model.ByLastSeen, model.ByEmail} {
					got := f.walk(t, clone(tt.filter), model.UserOrder{By: by, Ascending: true}, 2, by == model.ByEmail)
					if by == model.ByCreation && !slices.Equal(got, tt.want) || !slices.Equal(sorted(got), sorted(tt.want)) {
						t.Errorf("in order %d: %q, want %q", by, got, tt.want)
					}
				}
				total, err := f.Count(t.Context(), f.env.ID, clone(tt.filter))
				if err != nil || total != (model.UserTotal{Count: int64(len(tt.want)), Exact: true}) {
					t.Errorf("counted %+v, %v; want %d", total, err, len(tt.want))
				}
			})
		}
	})
}

func clone(f model.UserFilter) model.UserFilter {
	f.Properties = slices.Clone(f.Properties)
	return f
}

func sorted(l []string) []string { return slices.Sorted(slices.Values(l)) }

func TestListOrders(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.populate(t)
		f.Saw(model.UserRef{Env: f.env.ID, ID: f.find(t, "bob").ID})
		if err := f.SaveSeen(t.Context()); err != nil {
			t.Fatal(err)
		}
		if seen := f.find(t, "bob").LastSeenAt; seen.IsZero() || !f.find(t, "ada").LastSeenAt.IsZero() {
			t.Errorf("bob was seen at %v, and ada too", seen)
		}
		for by, want := range map[model.UserOrderKey][]string{
			model.BySignUp:   {"Cleo", "ada", "bob", "dan ada", "eve"},
			model.ByLastSeen: {"ada", "Cleo", "dan ada", "eve", "bob"},
			model.ByEmail:    {"Cleo", "dan ada", "eve", "ada", "bob"},
		} {
			for limit := 1; limit < 7; limit += 2 {
				for _, backward := range []bool{false, true} {
					if got := f.walk(t, model.UserFilter{}, model.UserOrder{By: by, Ascending: true}, limit, backward); !slices.Equal(got, want) {
						t.Errorf("order %d, %d at a time, backward %v: %q, want %q", by, limit, backward, got, want)
					}
					if got := f.walk(t, model.UserFilter{}, model.UserOrder{By: by}, limit, backward); !slices.Equal(got, reversed(want)) {
						t.Errorf("order %d down, %d at a time, backward %v: %q", by, limit, backward, got)
					}
				}
			}
		}
	})
}

func TestListRefusesFilters(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.populate(t)
		var eleven []model.PropertyFilter
		for range 11 {
			eleven = append(eleven, property("plan", model.PropertyEquals, `"x"`))
		}
		for _, tt := range []struct {
			filter     model.UserFilter
			path, text string
		}{
			{model.UserFilter{Search: " "}, "filter.search", "word"},
			{model.UserFilter{Search: "a b c d e f"}, "filter.search", "5 words"},
			{model.UserFilter{Search: "a\x00"}, "filter.search", "control"},
			{model.UserFilter{TopicName: "nothing"}, "filter.topic", "no topic"},
			{model.UserFilter{TopicName: "a\x00"}, "filter.topic", "no topic"},
			{model.UserFilter{AccountName: "a\x00"}, "filter.account", "no user"},
			{model.UserFilter{AccountName: "ada-elsewhere"}, "filter.account", "no user"},
			{model.UserFilter{CreatedAt: model.TimeRange{Until: time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC)}}, "filter.createdUntil", "years"},
			{model.UserFilter{Properties: eleven}, "filter.properties", "at most 10"},
			{model.UserFilter{Properties: []model.PropertyFilter{property("colour", model.PropertyEquals, `"x"`)}}, "filter.properties.0.name", "no property"},
			{model.UserFilter{Properties: []model.PropertyFilter{property("a\x00", model.PropertyEquals, `"x"`)}}, "filter.properties.0.name", "no property"},
			{model.UserFilter{Properties: []model.PropertyFilter{property("plan", model.PropertyGreater, `1`)}}, "filter.properties.0.greaterThan", "equals or contains"},
			{model.UserFilter{Properties: []model.PropertyFilter{property("seats", model.PropertyEquals, `"5"`)}}, "filter.properties.0.equals", "a number"},
			{model.UserFilter{Properties: []model.PropertyFilter{property("seats", model.PropertyLess, `1e999`)}}, "filter.properties.0.lessThan", "a number"},
			{model.UserFilter{Properties: []model.PropertyFilter{property("since", model.PropertyLess, `"yesterday"`)}}, "filter.properties.0.lessThan", "a date"},
			{model.UserFilter{Properties: []model.PropertyFilter{property("beta", model.PropertyEquals, `null`)}}, "filter.properties.0.equals", "true or false"},
			{model.UserFilter{Properties: []model.PropertyFilter{property("nested", model.PropertyEquals, `{}`)}}, "filter.properties.0.name", "object"},
			{model.UserFilter{Properties: []model.PropertyFilter{property("plan", model.PropertyEquals, `"a\u0000"`)}}, "filter.properties.0.equals", "U+0000"},
		} {
			_, err := f.List(t.Context(), f.env.ID, tt.filter, model.UserOrder{}, model.PageRequest{Limit: 10})
			wantProblem(t, err, model.KindInvalid, tt.path, tt.text)
		}
	})
}

func TestAttributesThatNoDatabaseCanHoldAsJSON(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.identify(t, "ada", `{"huge":1e200000,"plan":"gold"}`)
		f.identify(t, "bob", `{"plan":"gold"}`)
		got, err := f.List(t.Context(), f.env.ID, model.UserFilter{Properties: []model.PropertyFilter{property("plan", model.PropertyContains, `"gold"`)}}, model.UserOrder{}, model.PageRequest{Limit: 10})
		if err != nil || len(got.Items) != 2 {
			t.Errorf("got %d users, %v", len(got.Items), err)
		}
	})
}

func TestListsAreLookedThroughInParts(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		const all = 2300 // more than an index may yield
		in := make([]model.IdentifyInput, 0, all)
		for i := range all {
			in = append(in, model.IdentifyInput{Identifier: fmt.Sprintf("u%04d", i), Attributes: json.RawMessage(fmt.Sprintf(`{"n":%d,"plan":"gold"}`, i))})
		}
		for chunk := range slices.Chunk(in, 1000) {
			if _, err := f.IdentifyMany(t.Context(), f.env.ID, model.Once{}, chunk); err != nil {
				t.Fatal(err)
			}
		}
		filter := model.UserFilter{Search: "u", Properties: []model.PropertyFilter{property("plan", model.PropertyEquals, `"gold"`), property("n", model.PropertyGreater, `2290`)}}
		order := model.UserOrder{By: model.ByIdentifier, Ascending: true}
		if got := f.walk(t, clone(filter), order, 4, false); len(got) != 9 || got[0] != "u2291" {
			t.Errorf("got %q", got)
		}
		if total, err := f.Count(t.Context(), f.env.ID, clone(filter)); err != nil || total != (model.UserTotal{Count: 9, Exact: true}) {
			t.Errorf("counted %+v, %v", total, err)
		}
	})
}
