package user

import (
	"bytes"
	"encoding/json"
	"math/big"
	"slices"
	"testing"

	"carillon/model"
)

// FuzzPatch holds patches of all three kinds to their promises, whatever a
// client sends: no panic; the same input gives the same result, also when it
// runs a second time in a transaction that is tried again; and what comes out
// is a profile as one may be kept.
func FuzzPatch(f *testing.F) {
	now := json.RawMessage(`{"a":[1,2,[3]],"b":{"c":{"d":1}},"email":"ada@example.com","n":1.50}`)
	for _, seed := range []string{
		`[{"op":"add","path":"/x","value":{"y":1}},{"op":"remove","path":"/x/y"}]`,
		`[{"op":"move","from":"/b/c","path":"/a/0"},{"op":"copy","from":"/a","path":"/a/-"},{"op":"test","path":"/n","value":15e-1}]`,
		`[{"op":"replace","path":"/a/2/0","value":null},{"op":"copy","from":"","path":"/b/c/d"}]`,
		`[{"op":"add","path":"/identifier","value":1}]`, `[{"op":"copy","from":"/a/","path":"/~1~0"}]`,
		`{"b":{"c":null,"e":{"f":null,"g":1}},"email":"x@y.z"}`, `{"identifier":"eve"}`, `{"a":"\ud800"}`, `{"":null}`, `{"a":1,"a":2}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, in := range []model.ProfilePatch{{Set: raw}, {MergePatch: raw}, {JSONPatch: raw}, {Unset: []string{string(raw)}}} {
			change, err := newPatch(in)
			if err != nil {
				continue
			}
			before := slices.Clone(now)
			got, err := patched(now, change)
			again, errAgain := patched(now, change)
			if !bytes.Equal(got, again) || (err == nil) != (errAgain == nil) || !bytes.Equal(now, before) {
				t.Fatalf("%s gave %s, %v, and then %s, %v", raw, got, err, again, errAgain)
			}
			if err == nil {
				mustBeProfile(t, got)
			} else if k := model.KindOf(err); k != model.KindInvalid && k != model.KindConflict {
				t.Errorf("%s: %v (%s), want it to be the caller's mistake", raw, err, k)
			}
		}
	})
}

// FuzzIdentify holds what is merged by identification to the same.
func FuzzIdentify(f *testing.F) {
	f.Add("ada", []byte(`{"a":1,"email":null}`))
	f.Add("ada@example.com", []byte(`{"timeZone":"Europe/Paris","locale":"en","phoneNumber":"+15551234567"}`))
	f.Add("a\x00", []byte(`{"\u0000":"\udfff"}`))
	f.Fuzz(func(t *testing.T, identifier string, raw []byte) {
		change, problems := newChange(model.IdentifyInput{Identifier: identifier, Attributes: raw})
		if len(problems) > 0 {
			return
		}
		made, problems, err := change.merge(nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(problems) > 0 {
			return
		}
		mustBeProfile(t, made)
		again, _, err := change.merge(made)
		if err != nil || !bytes.Equal(made, again) {
			t.Errorf("%s merged into %s gives %s, %v: it should change nothing", raw, made, again, err)
		}
	})
}

func mustBeProfile(t *testing.T, raw json.RawMessage) {
	t.Helper()
	if m := model.CheckJSONObject(raw, model.MaxProfile, model.MaxProfileDepth); m != "" {
		t.Fatalf("%s %s", raw, m)
	}
	if canonical, err := model.CanonicalJSON(raw); err != nil || !bytes.Equal(canonical, raw) {
		t.Fatalf("%s is not canonical: %s, %v", raw, canonical, err)
	}
	p, err := decodeProfile(raw)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range p {
		if m := model.CheckAttributeName(name); m != "" {
			t.Errorf("attribute %q %s", name, m)
		}
		if kept, m := model.CheckAttribute(name, value); m != "" || !bytes.Equal(kept, value) {
			t.Errorf("attribute %s: %s %s, kept as %s", name, value, m, kept)
		}
	}
}

// FuzzEqualNumbers compares with exact arithmetic, where that is possible.
func FuzzEqualNumbers(f *testing.F) {
	f.Add("1.0", "10e-1")
	f.Add("-0", "0e5")
	f.Add("120", "1.2E+2")
	f.Add("0.00012", "12e-5")
	f.Fuzz(func(t *testing.T, a, b string) {
		if !json.Valid([]byte(a)) || !json.Valid([]byte(b)) || len(a)+len(b) > 60 {
			return
		}
		x, okX := new(big.Rat).SetString(a)
		y, okY := new(big.Rat).SetString(b)
		if !okX || !okY || x.Denom().BitLen()+x.Num().BitLen()+y.Denom().BitLen()+y.Num().BitLen() > 10_000 {
			return
		}
		if got, want := equalNumbers(a, b), x.Cmp(y) == 0; got != want {
			t.Errorf("equalNumbers(%s, %s) = %t, want %t", a, b, got, want)
		}
	})
}
