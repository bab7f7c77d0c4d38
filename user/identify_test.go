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
)

func TestIdentify(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		out, err := f.Identify(ctx, f.env.ID, model.Once{}, model.IdentifyInput{
			Identifier: "ada", Attributes: json.RawMessage(` {"plan": "pro", "firstName":"Ada", "n": 1e400, "gone": null} `),
		})
		if err != nil || !out.Value.Created || out.Replayed {
			t.Fatalf("the first time: %+v, %v", out, err)
		}
		first := out.Value.User
		want := `{"firstName":"Ada","n":1e400,"plan":"pro"}`
		if got := string(first.Profile.Attributes); got != want || first.Profile.Version != 1 || !first.Enabled {
			t.Errorf("made %s, version %d; want %s, version 1", got, first.Profile.Version, want)
		}
		f.unchanged(t, first)

		f.clock.advance(time.Minute)
		if again := f.identify(t, "ada", `{"n":1e400,"plan":"pro"}`); !same(again, first) {
			t.Errorf("what is so already changed the user: %+v, want %+v", again, first)
		}
		f.unchanged(t, first)

		merged := f.identify(t, "ada", `{"plan":null,"age":36,"nothing":null}`)
		want = `{"age":36,"firstName":"Ada","n":1e400}`
		if got := string(merged.Profile.Attributes); got != want || merged.Profile.Version != 2 || !merged.UpdatedAt.After(first.UpdatedAt) {
			t.Errorf("merged to %s, version %d, updated %s; want %s, version 2, later", got, merged.Profile.Version, merged.UpdatedAt, want)
		}
		if u := f.identifyIn(t, f.other, "ada", ""); u.ID == first.ID {
			t.Errorf("both environments have the user %d", u.ID)
		}
		f.unchanged(t, merged)
	})
}

func TestIdentifyTakesTheEmailFromTheIdentifier(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		for attributes, want := range map[string]string{
			``:                               `{"email":"%s"}`,
			`{"email":"else@example.com"}`:   `{"email":"else@example.com"}`,
			`{"email":null}`:                 `{}`,
			`{"email":" E <e@x.org> "}`:      `{"email":"e@x.org"}`,
			`{"email":"\u0041@x.org","a":1}`: `{"a":1,"email":"A@x.org"}`,
		} {
			identifier := fmt.Sprintf("u%d@example.com", len(attributes))
			u := f.identify(t, identifier, attributes)
			if want = strings.ReplaceAll(want, "%s", identifier); string(u.Profile.Attributes) != want {
				t.Errorf("with %s: %s, want %s", attributes, u.Profile.Attributes, want)
			}
		}
		f.identify(t, "u0@example.com", `{"email":null}`)
		if u := f.identify(t, "u0@example.com", `{"a":1}`); u.Profile.Attribute(model.AttrEmail) != "" {
			t.Errorf("a later call put the address back: %s", u.Profile.Attributes)
		}
	})
}

func TestIdentifyRefuses(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		tests := []struct {
			name, identifier, attributes string
			path, text                   string
		}{
			{"NoIdentifier", "", ``, "identifier", "empty"},
			{"NULInIdentifier", "a\x00b", ``, "identifier", "control"},
			{"BrokenIdentifier", "a\xff", ``, "identifier", "UTF-8"},
			{"FoldedIdentifier", "a\ufffd", ``, "identifier", "U+FFFD"},
			{"BlankAround", " ada", ``, "identifier", "blanks"},
			{"LongIdentifier", strings.Repeat("x", 256), ``, "identifier", "255"},
			{"NoObject", "ada", `[]`, "profile", "object"},
			{"Null", "ada", `null`, "profile", "object"},
			{"NoJSON", "ada", `{"a":}`, "profile", "JSON"},
			{"BrokenText", "ada", "{\"a\":\"\xff\"}", "profile.a", "UTF-8"},
			{"NUL", "ada", `{"a":["x\u0000"]}`, "profile.a", "U+0000"},
			{"NULInName", "ada", `{"a":{"x\u0000":1}}`, "profile.a", "U+0000"},
			{"HalfASurrogate", "ada", `{"a":"\ud800"}`, "profile.a", "surrogate"},
			{"HalfASurrogateBeforeText", "ada", `{"a":"\ud800\u0041"}`, "profile.a", "surrogate"},
			{"BackwardSurrogates", "ada", `{"a":"\udc00\ud800"}`, "profile.a", "surrogate"},
			{"ReplacementCharacter", "ada", "{\"a\":\"\ufffd\"}", "profile.a", "U+FFFD"},
			{"EscapedReplacementCharacter", "ada", `{"a":"\ufffd"}`, "profile.a", "U+FFFD"},
			{"TooDeep", "ada", deep(65), "profile.a", "nested"},
			{"TooLarge", "ada", `{"a":"` + strings.Repeat("x", 64<<10) + `"}`, "profile.a", "65536 bytes"},
			{"LongNameOfAPerson", "ada", `{"note":1,"firstName":"` + strings.Repeat("x", 60<<10) + `","lastName":"` + strings.Repeat("x", 60<<10) + `"}`, "profile.firstName", "255"},
			{"TooLargeTogether", "ada", `{"a":"` + strings.Repeat("x", 40<<10) + `","b":"` + strings.Repeat("x", 40<<10) + `"}`, "profile", "65536 bytes"},
			{"NULInNameAlone", "ada", `{"a\u0000":1}`, "profile", "U+0000"},
			{"EmptyName", "ada", `{"":1}`, "profile.", "empty"},
			{"ControlInName", "ada", `{"a\nb":1}`, "profile.a\nb", "control"},
			{"Identifier", "ada", `{"identifier":"eve"}`, "profile.identifier", "never changes"},
			{"IdentifierNull", "ada", `{"identifier":null}`, "profile.identifier", "never changes"},
			{"EmailNoText", "ada", `{"email":1}`, "profile.email", "text"},
			{"EmailNoAddress", "ada", `{"email":"ada"}`, "profile.email", "e-mail address"},
			{"EmailEmpty", "ada", `{"email":""}`, "profile.email", "e-mail address"},
			{"EmailTwo", "ada", `{"email":"a@x.org, b@x.org"}`, "profile.email", "one e-mail address"},
			{"EmailQuoted", "ada", `{"email":"\"a b\"@x.org"}`, "profile.email", "plain"},
			{"EmailAtNumber", "ada", `{"email":"a@[127.0.0.1]"}`, "profile.email", "e-mail address"},
			{"EmailHeader", "ada", `{"email":"a@x.org\r\nBcc: b@x.org"}`, "profile.email", "e-mail address"},
			{"EmailLong", "ada", `{"email":"` + strings.Repeat("a", 250) + `@x.org"}`, "profile.email", "254"},
			{"PhoneWithLetters", "ada", `{"phoneNumber":"1-800-FLOWERS"}`, "profile.phoneNumber", "E.164"},
			{"PhoneLeadingZero", "ada", `{"phoneNumber":"+05551234567"}`, "profile.phoneNumber", "E.164"},
			{"PhoneShort", "ada", `{"phoneNumber":"+123456"}`, "profile.phoneNumber", "E.164"},
			{"PhoneLong", "ada", `{"phoneNumber":"+1234567890123456"}`, "profile.phoneNumber", "E.164"},
			{"PhoneTwo", "ada", `{"phoneNumber":"+15551234567\n+15551234568"}`, "profile.phoneNumber", "E.164"},
			{"LocaleUnderscore", "ada", `{"locale":"en_GB"}`, "profile.locale", "BCP 47"},
			{"LocaleEmpty", "ada", `{"locale":""}`, "profile.locale", "BCP 47"},
			{"TimeZoneLocal", "ada", `{"timeZone":"Local"}`, "profile.timeZone", "IANA"},
			{"TimeZoneEmpty", "ada", `{"timeZone":""}`, "profile.timeZone", "IANA"},
			{"TimeZoneUnknown", "ada", `{"timeZone":"Mars/Olympus"}`, "profile.timeZone", "IANA"},
			{"TimeZonePath", "ada", `{"timeZone":"../../etc/passwd"}`, "profile.timeZone", "IANA"},
			{"AvatarScript", "ada", `{"avatarUrl":"javascript:alert(1)"}`, "profile.avatarUrl", "http"},
			{"AvatarRelative", "ada", `{"avatarUrl":"/me.png"}`, "profile.avatarUrl", "http"},
			{"NameLong", "ada", `{"firstName":"` + strings.Repeat("x", 256) + `"}`, "profile.firstName", "255"},
			{"NameObject", "ada", `{"lastName":{"a":1}}`, "profile.lastName", "text"},
		}
		for _, tt := range tests {
			in := model.IdentifyInput{Identifier: tt.identifier}
			if tt.attributes != "" {
				in.Attributes = json.RawMessage(tt.attributes)
			}
			_, err := f.Identify(t.Context(), f.env.ID, model.Once{}, in)
			if t.Run(tt.name, func(t *testing.T) { wantProblem(t, err, model.KindInvalid, tt.path, tt.text) }); err == nil {
				continue
			}
			if _, err := f.Find(t.Context(), f.env.ID, tt.identifier); model.KindOf(err) != model.KindNotFound {
				t.Errorf("%s: Find gives %v; want that nobody was made", tt.name, err)
			}
		}
		_, err := f.Identify(t.Context(), f.env.ID, model.Once{}, model.IdentifyInput{Identifier: "", Attributes: json.RawMessage(`{"email":1,"locale":2}`)})
		for _, path := range []string{"identifier", "profile.email", "profile.locale"} {
			wantProblem(t, err, model.KindInvalid, path, "")
		}
	})
}

func TestIdentifyAccepts(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		for i, attributes := range []string{
			`{"email":"ada+tag@sub.example.com"}`,
			`{"phoneNumber":"+1234567"}`,
			`{"phoneNumber":"+123456789012345"}`,
			`{"locale":"zh-Hant-TW","timeZone":"America/Argentina/Buenos_Aires"}`,
			`{"avatarUrl":"https://example.com/a.png?x=1#y"}`,
			`{"a":"\ud83d\ude00","b":"\\u0000","c":"😀 <&>\u2028"}`,
			`{"` + strings.Repeat("n", 255) + `":1}`,
			`{"a":"` + strings.Repeat("x", 64<<10-8) + `"}`,
			deep(64),
			`{"big":9007199254740993,"small":-0.10,"e":1E+2}`,
		} {
			u := f.identify(t, fmt.Sprintf("u%d", i), attributes)
			want, err := model.CanonicalJSON(json.RawMessage(attributes))
			if err != nil || string(u.Profile.Attributes) != string(want) {
				t.Errorf("%.80s became %.80s, want %.80s, %v", attributes, u.Profile.Attributes, want, err)
			}
			f.unchanged(t, u)
		}
	})
}

func TestIdentifyKeepsTheProfileSmall(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		was := f.identify(t, "ada", `{"a":"`+strings.Repeat("x", 40<<10)+`"}`)
		in := model.IdentifyInput{Identifier: "ada", Attributes: json.RawMessage(`{"b":"` + strings.Repeat("x", 40<<10) + `"}`)}
		for _, once := range []model.Once{{}, key("identifyUser", "k")} {
			_, err := f.Identify(t.Context(), f.env.ID, once, in)
			wantProblem(t, err, model.KindInvalid, "profile", "larger than 65536 bytes")
		}
		f.unchanged(t, was)
		in.Attributes = json.RawMessage(`{"a":null,"b":"` + strings.Repeat("x", 40<<10) + `"}`)
		if out, err := f.Identify(t.Context(), f.env.ID, key("identifyUser", "k"), in); err != nil || out.Replayed {
			t.Errorf("one that fits, under the key of the refused one: %t, %v", out.Replayed, err)
		}
	})
}

func TestIdentifyOnce(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		in := model.IdentifyInput{Identifier: "ada", Attributes: json.RawMessage(`{"a":"<1>"}`)}
		first, err := f.Identify(ctx, f.env.ID, key("identifyUser", "k"), in)
		if err != nil || first.Replayed || !first.Value.Created {
			t.Fatalf("first: %+v, %v", first, err)
		}
		later := f.identify(t, "ada", `{"a":2}`)
		again, err := f.Identify(ctx, f.env.ID, key("identifyUser", "k"), in)
		if err != nil || !again.Replayed || !again.Value.Created || !same(again.Value.User, first.Value.User) {
			t.Errorf("again: %+v, %v; want the first answer %+v", again, err, first)
		}
		f.unchanged(t, later)

		reused := key("identifyUser", "k")
		reused.Hash = [32]byte{2}
		if _, err := f.Identify(ctx, f.env.ID, reused, in); model.KindOf(err) != model.KindKeyReused {
			t.Errorf("another input under the key: %v", err)
		}
		if out, err := f.Identify(ctx, f.other.ID, key("identifyUser", "k"), in); err != nil || out.Replayed {
			t.Errorf("the key in another environment: %+v, %v; want it free", out, err)
		}
		// An unchanged user is remembered under a key too.
		if _, err := f.Identify(ctx, f.env.ID, key("identifyUser", "k2"), model.IdentifyInput{Identifier: "ada"}); err != nil {
			t.Fatal(err)
		}
		if out, err := f.Identify(ctx, f.env.ID, key("identifyUser", "k2"), model.IdentifyInput{Identifier: "ada"}); err != nil || !out.Replayed || out.Value.Created {
			t.Errorf("an unchanged user again: %+v, %v; want it replayed", out, err)
		}
	})
}

func TestIdentifyMany(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		eve := f.identify(t, "eve", `{"old":1}`)
		still := f.identify(t, "still", `{"same":1}`)
		f.clock.advance(time.Second)
		in := []model.IdentifyInput{
			{Identifier: "ada", Attributes: json.RawMessage(`{"a":1,"b":1}`)},
			{Identifier: "bad\x00"},
			{Identifier: "eve", Attributes: json.RawMessage(`{"new":1}`)},
			{Identifier: "ada", Attributes: json.RawMessage(`{"b":2,"c":3}`)},
			{Identifier: "ada", Attributes: json.RawMessage(`{"email":"no"}`)},
			{Identifier: "still", Attributes: json.RawMessage(`{"same":1}`)},
			{Identifier: "zoe@example.com"},
		}
		out, err := f.IdentifyMany(ctx, f.env.ID, key("identifyUsers", "k"), in)
		if err != nil || len(out.Value) != len(in) {
			t.Fatalf("got %d results, %v", len(out.Value), err)
		}
		r := out.Value
		for i, want := range map[int]string{0: `{"a":1,"b":2,"c":3}`, 2: `{"new":1,"old":1}`, 3: `{"a":1,"b":2,"c":3}`, 5: `{"same":1}`, 6: `{"email":"zoe@example.com"}`} {
			if got := string(r[i].User.Profile.Attributes); got != want || len(r[i].Problems) > 0 {
				t.Errorf("result %d: %s, %v; want %s", i, got, r[i].Problems, want)
			}
		}
		if !hasProblem(r[1].Problems, "identifier", "control") || !hasProblem(r[4].Problems, "profile.email", "e-mail") || r[4].User.ID != 0 {
			t.Errorf("the wrong ones: %+v and %+v", r[1], r[4])
		}
		if !r[0].Created || r[3].Created || r[2].Created || !r[6].Created || r[0].User.ID != r[3].User.ID {
			t.Errorf("created: %t %t %t %t; want ada's first and zoe's", r[0].Created, r[3].Created, r[2].Created, r[6].Created)
		}
		if r[2].User.ID != eve.ID || r[2].User.Profile.Version != 2 || !same(r[5].User, still) {
			t.Errorf("eve is %+v, still %+v", r[2].User, r[5].User)
		}
		for _, i := range []int{0, 2, 5, 6} {
			f.unchanged(t, r[i].User)
		}

		again, err := f.IdentifyMany(ctx, f.env.ID, key("identifyUsers", "k"), in)
		if err != nil || !again.Replayed || len(again.Value) != len(in) || !hasProblem(again.Value[1].Problems, "identifier", "control") {
			t.Fatalf("again: %+v, %v", again, err)
		}
		for i := range in {
			if !same(again.Value[i].User, r[i].User) || again.Value[i].Created != r[i].Created {
				t.Errorf("replayed result %d is %+v, want %+v", i, again.Value[i], r[i])
			}
		}
	})
}

func TestIdentifyManyRefuses(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		_, err := f.IdentifyMany(t.Context(), f.env.ID, model.Once{}, nil)
		wantProblem(t, err, model.KindInvalid, "users", "at least one")
		_, err = f.IdentifyMany(t.Context(), f.env.ID, model.Once{}, make([]model.IdentifyInput, 1001))
		wantProblem(t, err, model.KindInvalid, "users", "at most 1000")

		out, err := f.IdentifyMany(t.Context(), f.env.ID, model.Once{}, []model.IdentifyInput{{Identifier: ""}})
		if err != nil || len(out.Value) != 1 || len(out.Value[0].Problems) != 1 {
			t.Errorf("only wrong ones: %+v, %v; want a result with a problem", out, err)
		}
	})
}

func TestIdentifyManyAThousand(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		in := make([]model.IdentifyInput, model.MaxIdentifyUsers)
		for i, name := range numbered(len(in), "user %d") {
			in[i] = model.IdentifyInput{Identifier: name, Attributes: json.RawMessage(fmt.Sprintf(`{"n":%d}`, i))}
		}
		out, err := f.IdentifyMany(t.Context(), f.env.ID, model.Once{}, in)
		if err != nil {
			t.Fatal(err)
		}
		ids := map[model.UserID]bool{}
		for i, r := range out.Value {
			ids[r.User.ID] = true
			if want := fmt.Sprintf(`{"n":%d}`, i); !r.Created || string(r.User.Profile.Attributes) != want {
				t.Fatalf("result %d: %+v, want %s", i, r, want)
			}
		}
		if len(ids) != len(in) {
			t.Errorf("%d ids for %d users", len(ids), len(in))
		}
	})
}

// TestIdentifyTogether: nobody's change is lost, and calls that name the same
// users in another order do not get stuck on each other.
func TestIdentifyTogether(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.identify(t, "user 3", "")
		var wg sync.WaitGroup
		const callers = 8
		for i := range callers {
			wg.Go(func() {
				var in []model.IdentifyInput
				for _, name := range numbered(20, "user %d") {
					in = append(in, model.IdentifyInput{Identifier: name, Attributes: json.RawMessage(fmt.Sprintf(`{"a%d":1}`, i))})
				}
				if i%2 == 0 {
					slices.Reverse(in)
				}
				if _, err := f.IdentifyMany(t.Context(), f.env.ID, model.Once{}, in); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for _, name := range numbered(20, "user %d") {
			u := f.find(t, name)
			if n := strings.Count(string(u.Profile.Attributes), ":1"); n != callers {
				t.Errorf("%s has %s: %d of %d changes", name, u.Profile.Attributes, n, callers)
			}
		}
	})
}

func TestPhoneNumbersAreKeptInOneForm(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		const want = `{"phoneNumber":"+15551234567"}`
		for _, sent := range []string{"+15551234567", "15551234567", "+1 (555) 123-4567", "001 555.123.4567"} {
			got := f.identify(t, "ada", `{"phoneNumber":"`+sent+`"}`)
			if string(got.Profile.Attributes) != want || got.Profile.Version != 1 {
				t.Errorf("%q is kept as %s in version %d", sent, got.Profile.Attributes, got.Profile.Version)
			}
		}
		out, err := f.Patch(t.Context(), f.env.ID, model.Once{}, "ada", model.ProfilePatch{MergePatch: []byte(`{"phoneNumber":"49 30 123456"}`)})
		if err != nil || string(out.Value.Profile.Attributes) != `{"phoneNumber":"+4930123456"}` {
			t.Errorf("patched to %s, %v", out.Value.Profile.Attributes, err)
		}
		ref := model.UserRef{Env: f.env.ID, ID: out.Value.ID}
		for range 2 {
			a, err := f.AddAddress(t.Context(), model.Once{}, ref, model.NewAddress{Channel: model.ChannelWhatsApp, Value: "+44 7700 900123"})
			if err != nil || a.Value.Value != "+447700900123" {
				t.Errorf("added %+v, %v", a.Value, err)
			}
		}
	})
}
