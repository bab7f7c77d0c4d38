package user_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"carillon/model"
)

// before is the profile that patches are tried on.
const before = `{"a":[1,2,3],"address":{"city":"Paris","zip":"75001"},"email":"ada@example.com","n":1.0,"x":null}`

func setOf(set string, unset ...string) model.ProfilePatch {
	p := model.ProfilePatch{Unset: unset}
	if set != "" {
		p.Set = json.RawMessage(set)
	}
	return p
}

func mergeOf(patch string) model.ProfilePatch {
	return model.ProfilePatch{MergePatch: json.RawMessage(patch)}
}

func patchOf(operations string) model.ProfilePatch {
	return model.ProfilePatch{JSONPatch: json.RawMessage(operations)}
}

func TestPatch(t *testing.T) {
	tests := []struct {
		name  string
		patch model.ProfilePatch
		want  string // "" for unchanged
	}{
		{"Set", setOf(`{"n":2,"new":{"b":[]}}`), `{"a":[1,2,3],"address":{"city":"Paris","zip":"75001"},"email":"ada@example.com","n":2,"new":{"b":[]},"x":null}`},
		{"SetReplacesObjects", setOf(`{"address":{"city":"Rome"}}`), `{"a":[1,2,3],"address":{"city":"Rome"},"email":"ada@example.com","n":1.0,"x":null}`},
		{"Unset", setOf("", "a", "x", "nothing", "address"), `{"email":"ada@example.com","n":1.0}`},
		{"SetAndUnset", setOf(`{"b":1}`, "a", "address", "email", "n", "x"), `{"b":1}`},
		{"SetNormalises", setOf(`{"email":"Ada <ada@new.example>"}`, "a", "address", "n", "x"), `{"email":"ada@new.example"}`},
		{"SetTheSame", setOf(`{"a":[1, 2, 3]}`), ""},
		{"SetNothing", setOf(`{}`), ""},
		{"MergeObjects", mergeOf(`{"address":{"city":"Rome","zip":null,"street":"Via"},"a":null,"email":null,"n":null,"x":null}`), `{"address":{"city":"Rome","street":"Via"}}`},
		{"MergeIntoNoObject", mergeOf(`{"a":{"b":{"c":null,"d":1}},"address":null,"email":null,"n":null,"x":null}`), `{"a":{"b":{"d":1}}}`},
		{"MergeNothing", mergeOf(`{"gone":null,"address":{"gone":null}}`), ""},
		{"Add", patchOf(`[{"op":"add","path":"/b","value":{"c":1}},{"op":"add","path":"/b/d","value":[]},{"op":"remove","path":"/a"},{"op":"remove","path":"/address"},{"op":"remove","path":"/email"}]`), `{"b":{"c":1,"d":[]},"n":1.0,"x":null}`},
		{"AddReplaces", patchOf(`[{"op":"add","path":"/n","value":5}]`), strings.Replace(before, "1.0", "5", 1)},
		{"AddElement", patchOf(`[{"op":"add","path":"/a/1","value":9},{"op":"add","path":"/a/-","value":8},{"op":"add","path":"/a/0","value":7}]`), strings.Replace(before, "[1,2,3]", "[7,1,9,2,3,8]", 1)},
		{"AddAtTheEnd", patchOf(`[{"op":"add","path":"/a/3","value":4}]`), strings.Replace(before, "[1,2,3]", "[1,2,3,4]", 1)},
		{"RemoveElement", patchOf(`[{"op":"remove","path":"/a/0"}]`), strings.Replace(before, "[1,2,3]", "[2,3]", 1)},
		{"Replace", patchOf(`[{"op":"replace","path":"/address/city","value":"Rome"},{"op":"replace","path":"/a/2","value":null}]`), strings.NewReplacer("Paris", "Rome", "2,3]", "2,null]").Replace(before)},
		{"Move", patchOf(`[{"op":"move","from":"/address/zip","path":"/zip"},{"op":"move","from":"/a/0","path":"/a/2"}]`), `{"a":[2,3,1],"address":{"city":"Paris"},"email":"ada@example.com","n":1.0,"x":null,"zip":"75001"}`},
		{"MoveToItself", patchOf(`[{"op":"move","from":"/a","path":"/a"}]`), ""},
		{"Copy", patchOf(`[{"op":"copy","from":"/address","path":"/address/old"},{"op":"replace","path":"/address/city","value":"Rome"}]`), strings.Replace(before, `{"city":"Paris","zip":"75001"}`, `{"city":"Rome","old":{"city":"Paris","zip":"75001"},"zip":"75001"}`, 1)},
		{"CopyAll", patchOf(`[{"op":"copy","from":"","path":"/self"},{"op":"remove","path":"/self/a"},{"op":"remove","path":"/self/address"},{"op":"remove","path":"/self/n"}]`), strings.Replace(before, `,"x"`, `,"self":{"email":"ada@example.com","x":null},"x"`, 1)},
		{"Tests", patchOf(`[{"op":"test","path":"/n","value":1},{"op":"test","path":"/n","value":10e-1},{"op":"test","path":"/address","value":{"zip":"75001","city":"\u0050aris"}},{"op":"test","path":"/x","value":null},{"op":"test","path":"/a","value":[1,2e0,3.00]},{"op":"test","path":"","value":` + before + `}]`), ""},
		{"EscapedPointers", patchOf(`[{"op":"add","path":"/a~1b","value":1},{"op":"add","path":"/m~0n","value":2},{"op":"move","from":"/a~1b","path":"/~01"},{"op":"remove","path":"/a"},{"op":"remove","path":"/address"}]`), `{"email":"ada@example.com","m~n":2,"n":1.0,"x":null,"~1":1}`},
		{"EmptyMember", patchOf(`[{"op":"add","path":"/address/","value":1},{"op":"test","path":"/address/","value":1}]`), strings.Replace(before, `{"city"`, `{"":1,"city"`, 1)},
		{"NoOperations", patchOf(`[]`), ""},
		{"UnknownMembersAreIgnored", patchOf(`[{"op":"add","path":"/n","value":5,"from":3,"comment":{}}]`), strings.Replace(before, "1.0", "5", 1)},
		{"PatchNormalises", patchOf(`[{"op":"replace","path":"/email","value":"Ada <ada@new.example>"}]`), strings.Replace(before, "ada@example.com", "ada@new.example", 1)},
		{"WrongInBetween", patchOf(`[{"op":"replace","path":"/email","value":1},{"op":"replace","path":"/email","value":"ada@example.com"}]`), ""},
		{"HugeNumbers", patchOf(`[{"op":"add","path":"/n","value":1e999999999},{"op":"test","path":"/n","value":10E+999999998},{"op":"replace","path":"/n","value":1.0}]`), ""},
	}
	each(t, func(t *testing.T, f *fixture) {
		for i, tt := range tests {
			name := fmt.Sprintf("user %d", i)
			f.identify(t, name, "")
			f.patch(t, name, patchOf(`[{"op":"add","path":"/x","value":null}]`))
			was := f.patch(t, name, setOf(strings.Replace(before, `,"x":null`, "", 1)))
			f.clock.advance(time.Second)
			t.Run(tt.name, func(t *testing.T) {
				got := f.patch(t, name, tt.patch)
				if tt.want == "" {
					f.unchanged(t, was)
					tt.want = before
				} else if got.Profile.Version != was.Profile.Version+1 || !got.UpdatedAt.After(was.UpdatedAt) {
					t.Errorf("version %d, updated %s; want one version more than %d and later", got.Profile.Version, got.UpdatedAt, was.Profile.Version)
				}
				if string(got.Profile.Attributes) != tt.want {
					t.Errorf("got  %s\nwant %s", got.Profile.Attributes, tt.want)
				}
				f.unchanged(t, got)
			})
		}
	})
}

func (f *fixture) patch(t *testing.T, identifier string, p model.ProfilePatch) model.User {
	t.Helper()
	out, err := f.Patch(t.Context(), f.env.ID, model.Once{}, identifier, p)
	if err != nil {
		t.Fatalf("patching %s: %v", identifier, err)
	}
	return out.Value
}

func TestPatchRefuses(t *testing.T) {
	many := "[" + strings.Repeat(`{"op":"test","path":"/n","value":1},`, 100) + `{"op":"test","path":"/n","value":1}]`
	big := strings.Repeat("x", 50<<10)
	tests := []struct {
		name       string
		patch      model.ProfilePatch
		path, text string
	}{
		{"Nothing", model.ProfilePatch{}, "", "one of"},
		{"SetAndMerge", model.ProfilePatch{Set: json.RawMessage(`{}`), MergePatch: json.RawMessage(`{}`)}, "mergePatch", "together with set"},
		{"UnsetAndMerge", model.ProfilePatch{Unset: []string{"a"}, MergePatch: json.RawMessage(`{}`)}, "mergePatch", "together with unset"},
		{"UnsetAndJSONPatch", model.ProfilePatch{Unset: []string{"a"}, JSONPatch: json.RawMessage(`[]`)}, "jsonPatch", "together"},
		{"MergeAndJSONPatch", model.ProfilePatch{MergePatch: json.RawMessage(`{}`), JSONPatch: json.RawMessage(`[]`)}, "jsonPatch", "together with mergePatch"},
		{"SetNoObject", setOf(`[]`), "set", "object"},
		{"SetNull", setOf(`{"a":null}`), "set.a", "unset"},
		{"SetIdentifier", setOf(`{"identifier":"eve"}`), "set.identifier", "never changes"},
		{"SetWrongEmail", setOf(`{"email":"no"}`), "set.email", "e-mail"},
		{"SetTooDeep", setOf(deep(65)), "set.a", "nested"},
		{"SetTooLarge", setOf(`{"big1":"` + big + `","big2":"` + big[:14<<10] + `"}`), "set", "65536"},
		{"UnsetIdentifier", setOf("", "a", "identifier"), "unset.1", "never changes"},
		{"UnsetWrongName", setOf("", ""), "unset.0", "empty"},
		{"UnsetNUL", setOf("", "a\x00"), "unset.0", "control"},
		{"SetAndUnsetTheSame", setOf(`{"a":1}`, "a"), "unset.0", "set gives a value"},
		{"MergeNoObject", mergeOf(`"x"`), "mergePatch", "object"},
		{"MergeIdentifier", mergeOf(`{"identifier":null}`), "mergePatch.identifier", "never changes"},
		{"MergeWrongPhone", mergeOf(`{"phoneNumber":"1"}`), "mergePatch.phoneNumber", "E.164"},
		{"MergeNUL", mergeOf(`{"a":{"b":"\u0000"}}`), "mergePatch.a", "U+0000"},
		{"PatchNoList", patchOf(`{}`), "jsonPatch", "list"},
		{"PatchOfTexts", patchOf(`["x"]`), "jsonPatch", "list of operations"},
		{"PatchNull", patchOf(`null`), "jsonPatch", "list of operations"},
		{"PatchNoJSON", patchOf(`[`), "jsonPatch", "JSON"},
		{"PatchTooMany", patchOf(many), "jsonPatch", "at most 100"},
		{"PatchTooLarge", patchOf(`[{"op":"add","path":"/b","value":"` + strings.Repeat("x", 200<<10) + `"}]`), "jsonPatch", "bytes"},
		{"PatchTooDeep", patchOf(`[{"op":"add","path":"/b","value":` + deep(65) + `}]`), "jsonPatch", "nested"},
		{"PatchWouldBeTooDeep", patchOf(`[{"op":"add","path":"/b","value":` + deep(64) + `}]`), "jsonPatch", "nested"},
		{"NoOp", patchOf(`[{"path":"/a"}]`), "jsonPatch.0.op", "must be given"},
		{"NullOperation", patchOf(`[null]`), "jsonPatch.0.op", "must be given"},
		{"UnknownOp", patchOf(`[{"op":"test","path":"/n","value":1},{"op":"increment","path":"/a"}]`), "jsonPatch.1.op", "add, remove"},
		{"OpNoText", patchOf(`[{"op":1,"path":"/a"}]`), "jsonPatch.0.op", "text"},
		{"NoPath", patchOf(`[{"op":"remove"}]`), "jsonPatch.0.path", "must be given"},
		{"PathNoText", patchOf(`[{"op":"remove","path":null}]`), "jsonPatch.0.path", "text"},
		{"PathNoPointer", patchOf(`[{"op":"remove","path":"a"}]`), "jsonPatch.0.path", "JSON pointer"},
		{"PathWrongEscape", patchOf(`[{"op":"remove","path":"/~2"}]`), "jsonPatch.0.path", "JSON pointer"},
		{"NoValue", patchOf(`[{"op":"add","path":"/a"}]`), "jsonPatch.0.value", "must be given"},
		{"NoFrom", patchOf(`[{"op":"move","path":"/a"}]`), "jsonPatch.0.from", "must be given"},
		{"ReplaceAll", patchOf(`[{"op":"replace","path":"","value":{}}]`), "jsonPatch.0.path", "whole profile"},
		{"RemoveAll", patchOf(`[{"op":"remove","path":""}]`), "jsonPatch.0.path", "whole profile"},
		{"MoveAll", patchOf(`[{"op":"move","from":"","path":"/b"}]`), "jsonPatch.0.from", "whole profile"},
		{"AddIdentifier", patchOf(`[{"op":"add","path":"/identifier","value":"eve"}]`), "jsonPatch.0.path", "never changes"},
		{"AddIntoIdentifier", patchOf(`[{"op":"add","path":"/identifier/x","value":"eve"}]`), "jsonPatch.0.path", "never changes"},
		{"CopyToIdentifier", patchOf(`[{"op":"copy","from":"/a","path":"/identifier"}]`), "jsonPatch.0.path", "never changes"},
		{"AddEmptyName", patchOf(`[{"op":"add","path":"/","value":1}]`), "jsonPatch.0.path", "empty"},
		{"MoveIntoItself", patchOf(`[{"op":"move","from":"/address","path":"/address/old"}]`), "jsonPatch.0.from", "into itself"},
		{"RemoveNothing", patchOf(`[{"op":"remove","path":"/gone"}]`), "jsonPatch.0.path", "points at nothing"},
		{"ReplaceNothing", patchOf(`[{"op":"add","path":"/b","value":1},{"op":"replace","path":"/gone","value":1}]`), "jsonPatch.1.path", "points at nothing"},
		{"ReplaceThroughText", patchOf(`[{"op":"replace","path":"/email/x","value":1}]`), "jsonPatch.0.path", "points at nothing"},
		{"AddBeyondNothing", patchOf(`[{"op":"add","path":"/gone/x","value":1}]`), "jsonPatch.0.path", "points at nothing"},
		{"AddIntoText", patchOf(`[{"op":"add","path":"/email/x","value":1}]`), "jsonPatch.0.path", "points at nothing"},
		{"CopyNothing", patchOf(`[{"op":"copy","from":"/gone","path":"/b"}]`), "jsonPatch.0.from", "points at nothing"},
		{"IndexBeyond", patchOf(`[{"op":"add","path":"/a/4","value":1}]`), "jsonPatch.0.path", "points at nothing"},
		{"IndexOfTheEnd", patchOf(`[{"op":"remove","path":"/a/-"}]`), "jsonPatch.0.path", "number"},
		{"IndexNegative", patchOf(`[{"op":"remove","path":"/a/-1"}]`), "jsonPatch.0.path", "number"},
		{"IndexLeadingZero", patchOf(`[{"op":"remove","path":"/a/01"}]`), "jsonPatch.0.path", "number"},
		{"IndexPlus", patchOf(`[{"op":"remove","path":"/a/+1"}]`), "jsonPatch.0.path", "number"},
		{"IndexEmpty", patchOf(`[{"op":"copy","from":"/a/","path":"/b"}]`), "jsonPatch.0.from", "number"},
		{"IndexHuge", patchOf(`[{"op":"add","path":"/a/99999999999999999999","value":1}]`), "jsonPatch.0.path", "number"},
		{"CopyBomb", patchOf(`[{"op":"add","path":"/b","value":"` + strings.Repeat("x", 1000) + `"}` + strings.Repeat(`,{"op":"copy","from":"","path":"/c"}`, 99) + `]`), "jsonPatch", ""},
		{"NestedCopyBomb", patchOf(`[{"op":"add","path":"/b","value":[]}` + strings.Repeat(`,{"op":"copy","from":"/b","path":"/b/-"}`, 99) + `]`), "jsonPatch", ""},
		{"ResultTooLarge", patchOf(`[{"op":"add","path":"/b","value":"` + big + `"},{"op":"add","path":"/c","value":"` + big + `"}]`), "jsonPatch", "larger than 65536"},
		{"WrongEmail", patchOf(`[{"op":"add","path":"/email","value":"ada@example.com"},{"op":"replace","path":"/email","value":"no"},{"op":"test","path":"/email","value":"no"}]`), "jsonPatch.1", "e-mail"},
		{"EmailNull", patchOf(`[{"op":"replace","path":"/email","value":null}]`), "jsonPatch.0", "text"},
		{"EmailMoved", patchOf(`[{"op":"move","from":"/a","path":"/email"}]`), "jsonPatch.0", "text"},
		{"VersionZero", model.ProfilePatch{Unset: []string{"a"}, ExpectedVersion: new(int64)}, "expectedVersion", "1 or more"},
	}
	each(t, func(t *testing.T, f *fixture) {
		f.identify(t, "ada", "")
		f.patch(t, "ada", patchOf(`[{"op":"add","path":"/x","value":null}]`))
		was := f.patch(t, "ada", setOf(strings.Replace(before, `,"x":null`, "", 1)))
		f.clock.advance(time.Second)
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				out, err := f.Patch(t.Context(), f.env.ID, key("patchProfile", tt.name), "ada", tt.patch)
				if strings.Contains(tt.name, "Bomb") {
					if model.KindOf(err) != model.KindInvalid || !strings.Contains(err.Error(), "must not copy more than 65536 bytes") {
						t.Errorf("got %v, want the copying refused", err)
					}
				} else {
					wantProblem(t, err, model.KindInvalid, tt.path, tt.text)
				}
				if out.Value.ID != 0 {
					t.Errorf("the outcome is %+v, want none", out)
				}
				f.unchanged(t, was)
			})
		}
	})
}

func TestPatchFailedTest(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		was := f.identify(t, "ada", `{"n":1,"t":"x"}`)
		for _, test := range []string{
			`{"op":"test","path":"/n","value":2}`,
			`{"op":"test","path":"/n","value":"1"}`,
			`{"op":"test","path":"/t","value":"X"}`,
			`{"op":"test","path":"/gone","value":null}`,
			`{"op":"test","path":"/gone/far","value":null}`,
			`{"op":"test","path":"","value":{"n":1}}`,
			`{"op":"test","path":"/n","value":1e999999999}`,
			`{"op":"test","path":"/n","value":-1}`,
		} {
			_, err := f.Patch(t.Context(), f.env.ID, model.Once{}, "ada", patchOf(`[{"op":"add","path":"/b","value":1},`+test+`]`))
			wantProblem(t, err, model.KindConflict, "jsonPatch.1", "failed")
			f.unchanged(t, was)
		}
	})
}

func TestPatchVersion(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		f.identify(t, "ada", `{"a":1}`)
		now := f.identify(t, "ada", `{"a":2}`)
		version := func(v int64) model.ProfilePatch {
			return model.ProfilePatch{Set: json.RawMessage(`{"a":3}`), ExpectedVersion: &v}
		}
		for _, v := range []int64{1, 3} {
			out, err := f.Patch(ctx, f.env.ID, key("patchProfile", "k"), "ada", version(v))
			wantProblem(t, err, model.KindVersionConflict, "expectedVersion", "has version 2")
			if !same(out.Value, now) {
				t.Errorf("with the conflict came %+v, want the current user %+v", out.Value, now)
			}
			f.unchanged(t, now)
		}
		out, err := f.Patch(ctx, f.env.ID, key("patchProfile", "k"), "ada", version(2))
		if err != nil || out.Replayed || out.Value.Profile.Version != 3 {
			t.Fatalf("with the current version: %+v, %v", out, err)
		}
		again, err := f.Patch(ctx, f.env.ID, key("patchProfile", "k"), "ada", version(2))
		if err != nil || !again.Replayed || !same(again.Value, out.Value) {
			t.Errorf("again: %+v, %v; want the first answer, not a conflict", again, err)
		}
	})
}

// TestPatchTogether: of patches that expect the same version, one wins.
func TestPatchTogether(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.identify(t, "ada", "")
		for version := int64(1); version < 8; version++ {
			var (
				won atomic.Int64
				wg  sync.WaitGroup
			)
			for i := range 6 {
				wg.Go(func() {
					_, err := f.Patch(t.Context(), f.env.ID, model.Once{}, "ada", model.ProfilePatch{
						Set: json.RawMessage(fmt.Sprintf(`{"a":[%d,%d]}`, version, i)), ExpectedVersion: &version,
					})
					switch {
					case err == nil:
						won.Add(1)
					case model.KindOf(err) != model.KindVersionConflict:
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if u := f.find(t, "ada"); won.Load() != 1 || u.Profile.Version != version+1 {
				t.Fatalf("%d patches of version %d won, the version is %d; want one, and %d", won.Load(), version, u.Profile.Version, version+1)
			}
		}
	})
}

func TestPatchOfNobody(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		eve := f.identifyIn(t, f.other, "eve", `{"a":1}`)
		for _, identifier := range []string{"nobody", "eve", "", "a\x00"} {
			if _, err := f.Patch(t.Context(), f.env.ID, model.Once{}, identifier, setOf(`{"a":2}`)); model.KindOf(err) != model.KindNotFound {
				t.Errorf("Patch(%q): %v, want it not found", identifier, err)
			}
		}
		f.unchanged(t, eve)
	})
}
