package graph_test

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"carillon/graph/view"
	"carillon/internal/cursor"
	"carillon/model"
)

// hostile is one value that no argument expects, as JSON or as bytes that are
// almost JSON.
type hostile struct {
	name string
	raw  string // "" is for an argument that is left out
}

// always are the values that are tried at every place in every run: what
// databases choke on and decoders alter.
var always = map[string]bool{
	"absent": true, "null": true, "true": true, "2^31": true, "empty text": true, "256 bytes": true,
	"not UTF-8": true, "NUL escaped": true, "half a pair": true, "U+FFFD": true,
}

// hostileValues are put in the place of every argument.
var hostileValues = sync.OnceValue(func() []hostile {
	list := []hostile{
		{"absent", ""},
		{"null", "null"},
		{"true", "true"},
		{"zero", "0"},
		{"one", "1"},
		{"minus one", "-1"},
		{"fraction", "1.5"},
		{"2^31-1", "2147483647"},
		{"2^31", "2147483648"},
		{"-2^31-1", "-2147483649"},
		{"2^53+1", "9007199254740993"},
		{"2^63", "9223372036854775808"},
		{"thirty digits", "123456789012345678901234567890"},
		{"1e400", "1e400"},
		{"1e3", "1e3"},
		{"-0", "-0"},
		{"empty list", "[]"},
		{"list of null", "[null]"},
		{"list of lists", `[[["x"]]]`},
		{"list of 10,000", "[" + strings.Repeat("1,", 9999) + "1]"},
		{"empty object", "{}"},
		{"object", `{"a":"b"}`},
		{"member twice", `{"a":1,"a":{"b":2}}`},
		{"prototype", `{"__proto__":{"x":1},"constructor":{"prototype":1}}`},
		{"70 lists", strings.Repeat("[", 70) + strings.Repeat("]", 70)},
		{"70 objects", strings.Repeat(`{"a":`, 70) + "1" + strings.Repeat("}", 70)},
		{"60 objects", strings.Repeat(`{"a":`, 55) + "1" + strings.Repeat("}", 55)},
		{"NUL in a member", `{"a\u0000":"b\u0000"}`},
		{"half a pair in a member", `{"a":"\ud800"}`},
		{"big numbers", `{"n":1e999999,"m":123456789012345678901234567890.10}`},
		{"not UTF-8", "\"a\xff\xfe\""},
		{"overlong NUL", "\"\xc0\x80\""},
		{"surrogate in UTF-8", "\"\xed\xa0\x80\""},
		{"NUL escaped", `"a\u0000b"`},
		{"half a pair", `"a\ud800"`},
		{"other half", `"\udc00a"`},
		{"half a pair and an escape", `"\ud800\u0041"`},
		{"copy bomb", copyBomb(60)},
		{"101 patches", "[" + strings.Repeat(`{"op":"add","path":"/x","value":1},`, 100) + `{"op":"add","path":"/x","value":1}]`},
		{"patch of the whole", `[{"op":"replace","path":"","value":"text"}]`},
		{"patch that fails late", `[{"op":"add","path":"/early","value":1},{"op":"remove","path":"/nothing/here"}]`},
		{"patch of a prototype", `[{"op":"add","path":"/__proto__/x","value":1}]`},
		{"patch with an index", `[{"op":"add","path":"/plan/-","value":1}]`},
		{"patch with NUL", `[{"op":"add","path":"/a\u0000","value":"\u0000"}]`},
		{"patch of null", `[{"op":"add","path":"/email"}]`},
		{"wide object", wide(3000)},
	}
	for name, text := range map[string]string{
		"empty text": "", "blank": " ", "blank at the end": "ada ", "NUL alone": "\x00", "U+FFFD": "a\uFFFD", "escape": "\x1b[31mred", "newline": "a\r\nBcc: x@example.com",
		"override": "\u202Egpj.exe", "noncharacter": "\uFFFF", "C1 control": "a\u0085b", "accents decomposed": "e\u0301", "accents composed": "\u00e9", "emoji": "👩‍👩‍👧", "BOM": "\uFEFFx",
		"quote": `o'Neil "x" \' ; --`, "SQL": "' OR 1=1; DROP TABLE users; --", "wildcards": "%_\\%", "placeholders": "? ?0 $1 :name @name ??", "handlebars": "{{recipient.email}} ${7*7}", "path": "../../etc/passwd",
		"script": "<script>alert(1)</script>", "javascript": "javascript:alert(1)", "javascript with a tab": "java\tscript:alert(1)", "data address": "data:text/html,x", "two slashes": "//evil.example/x",
		"private address": "http://169.254.169.254/latest", "address with a user": "https://a:b@example.com", "backslashes": "https:\\\\evil.example",
		"256 bytes": strings.Repeat("x", 256), "255 bytes": strings.Repeat("y", 255), "64 KB": strings.Repeat("z", 64<<10), "64 KB of quotes": strings.Repeat(`"`, 64<<10), "100 KB": strings.Repeat("w", 100<<10),
		"number as text": "1e9", "minus": "-", "true as text": "true", "null as text": "null", "undefined": "undefined", "enum": "READ", "channel": "EMAIL", "channel in small letters": "in_app",
		"year 0": "0000-01-01T00:00:00Z", "year 9999": "9999-12-31T23:59:59Z", "year 10000": "10000-01-01T00:00:00Z", "no such day": "2026-02-30T00:00:00Z", "leap second": "2026-12-31T23:59:60Z",
		"far zone": "2026-01-02T03:04:05+99:99", "nanoseconds": "2026-01-03T03:04:05.123456789Z", "before 1970": "1900-01-01T00:00:00Z", "soon": start.Add(72 * time.Hour).Format(time.RFC3339),
		"e-mail with two": "a@example.com, b@example.com", "e-mail": "x@example.com", "quoted e-mail": `"a b"@example.com`, "phone": "+15550001111", "letters as phone": "+1555CALLME",
		"time zone": "Europe/Paris", "path as time zone": "../../../etc/passwd", "locale": "en-x-" + strings.Repeat("a", 300),
	} {
		list = append(list, hostile{name, quoted(text)})
	}
	return list
})

func quoted(s string) string {
	b, _ := model.EncodeJSON(s) // a string always encodes
	return string(b)
}

// copyBomb is a patch that doubles what there is, n times.
func copyBomb(n int) string {
	var b strings.Builder
	b.WriteString(`[{"op":"add","path":"/b0","value":"boom"}`)
	for i := range n {
		fmt.Fprintf(&b, `,{"op":"copy","from":"","path":"/b%d"}`, i+1)
	}
	return b.String() + "]"
}

func wide(n int) string {
	m := make(map[string]int, n)
	for i := range n {
		m["k"+strconv.Itoa(i)] = i
	}
	b, _ := json.Marshal(m)
	return string(b)
}

// foreignValues are what names something, as far as a type can hold it: of
// another environment, of another user, of nobody, and of the wrong kind.
func (w *world) foreignValues(typeName string) []hostile {
	var list []hostile
	add := func(name, value string) { list = append(list, hostile{name, quoted(value)}) }
	if typeName == "ID" || typeName == "String" {
		for name, id := range w.names {
			add("@"+name, id)
		}
		for _, id := range []string{
			"usr_0", "usr_-1", "usr_9007199254740991", "usr_9223372036854775808", "usr_01", "usr_+1", "usr_1 ", "USR_1", "ntf_1", "cat_", "_", "snd_1_2", "crd_ ", "crd_%", "dev_1_x", "dev_1_", "app_0",
			"bob", "zoe", "nobody at all", "comments",
		} {
			add("id "+id, id)
		}
	}
	if typeName == "InboxPosition" || typeName == "PageCursor" {
		for name, p := range w.positions() {
			add(name, cursor.EncodePosition(p))
		}
	}
	if typeName == "DeliveryPosition" {
		for name, at := range map[string]time.Time{"moment": start, "moment of the beginning": time.UnixMicro(0), "moment of the end": time.UnixMicro(model.MaxID), "moment before all": time.UnixMicro(-1)} {
			add(name, cursor.EncodeMoment(at))
		}
	}
	kinds := map[string]string{"PageCursor": "uinspbtomxwvj", "InboxPosition": "b", "DeliveryPosition": "b"}[typeName]
	for _, kind := range []byte(kinds) {
		for name, key := range map[string]model.PageKey{
			"plain": {At: start, ID: 1000, Text: "ada"}, "with NUL": {At: start, ID: 1, Text: "a\x00"}, "with SQL": {At: start, Text: "' OR 1=1 --"}, "of the end of time": {At: time.UnixMicro(1<<63 - 1), ID: model.MaxID},
			"of the beginning": {}, "with a long text": {At: start, ID: 1, Text: strings.Repeat("x", 255)},
		} {
			add(fmt.Sprintf("cursor of %q %s", kind, name), cursor.EncodePage(kind, key))
		}
	}
	return list
}

// positions are true positions, and such as a client might make up.
func (w *world) positions() map[string]model.Position {
	epoch := w.store.Epoch()
	user := func(name string) model.UserID {
		ref, _ := view.ParseRef(w.names[name])
		return model.UserID(ref.Number)
	}
	return map[string]model.Position{
		"position of ada":               {Epoch: epoch, User: user("shop/ada"), Seq: 1},
		"position ahead":                {Epoch: epoch, User: user("shop/ada"), Seq: model.MaxID},
		"position of bob":               {Epoch: epoch, User: user("shop/bob"), Seq: 1},
		"position of another ada":       {Epoch: epoch, User: user("other/ada"), Seq: 1},
		"position of nobody":            {Epoch: epoch},
		"position of another epoch":     {Epoch: epoch + 1, User: user("shop/ada"), Seq: 1},
		"position of the highest epoch": {Epoch: 1<<64 - 1, User: model.MaxID, Seq: model.MaxID},
	}
}
