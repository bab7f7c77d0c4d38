package render_test

import (
	"encoding/json"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"carillon/render"
)

// TestBombs renders what would take for ever, and wants an error with a place, soon
// and without much memory.
func TestBombs(t *testing.T) {
	list := make([]any, 5000)
	for i := range list {
		list[i] = json.Number("1")
	}
	long := strings.Repeat("x", 60<<10)
	object := map[string]any{}
	for i := range 5000 {
		object[strings.Repeat("k", i%50)+string(rune('a'+i%26))] = "v"
	}
	d := render.Data{"data": map[string]any{"list": list, "long": long, "object": object}}
	loops := func(n int, body string) string {
		return strings.Repeat("{{#each data.list}}", n) + body + strings.Repeat("{{/each}}", n)
	}
	for name, source := range map[string]string{
		"Loops":       loops(5, ""),
		"Output":      loops(3, "aaaaaaaaaaaaaaaaaaaaaaaa"),
		"LongValue":   loops(2, "{{data.long}}"),
		"Objects":     loops(3, "{{#if (eq data.object data.list)}}a{{/if}}"),
		"Keys":        loops(2, "{{#each data.object}}{{/each}}"),
		"Lengths":     loops(4, "{{#if (gt (length data.long) 1000000)}}a{{/if}}"),
		"Wide":        "{{#each data.list}}" + strings.Repeat("{{#if data.object.a}}{{/if}}", 4000) + "{{/each}}",
		"EmptyOutput": loops(4, "{{data.nothing}}"),
	} {
		t.Run(name, func(t *testing.T) {
			template, err := render.Parse(source, render.HTML)
			if err != nil {
				t.Fatal(err)
			}
			runtime.GC()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			began := time.Now()
			_, err = template.Render(d)
			took := time.Since(began)
			runtime.ReadMemStats(&after)
			var e *render.Error
			if !errors.As(err, &e) || e.Line == 0 {
				t.Errorf("got %v, want an error with a place", err)
			}
			if took > 2*time.Second {
				t.Errorf("it took %s", took)
			}
			if grown := int64(after.HeapInuse) - int64(before.HeapInuse); grown > 64<<20 {
				t.Errorf("the heap has grown by %d MB", grown>>20)
			}
		})
	}
}

// TestLongSourcesAreReadSoon parses what would be slow to read, if anything were.
func TestLongSourcesAreReadSoon(t *testing.T) {
	t.Parallel()
	const n = 120 << 10
	for name, source := range map[string]string{
		"Attribute": "<p " + strings.Repeat("a", n), "Tag": "<" + strings.Repeat("a", n), "Braces": strings.Repeat("{", n), "Comment": "{{!--" + strings.Repeat("--", n/2),
		"Tags": strings.Repeat("{{a}}", n/5), "Quotes": strings.Repeat(`{{"`, n/3), "Path": "{{" + strings.Repeat("a.", n/2) + "a}}", "Up": "{{" + strings.Repeat("../", n/3) + "a}}",
		"Lines": strings.Repeat("{{#if a}}\n{{/if}}\n", n/18), "Backslashes": strings.Repeat(`\{{`, n/3), "Script": "<script>" + strings.Repeat("</scrip", n/7),
		"Elses": "{{#if a}}" + strings.Repeat("{{else if b}}", n/13) + "{{/if}}",
	} {
		began := time.Now()
		_, _ = render.Parse(source, render.HTML)
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("%s: it took %s", name, took)
		}
	}
}

// FuzzTemplate holds the package to never panicking, to errors with a place, to
// bounds, and to HTML in which data opens no tag.
func FuzzTemplate(f *testing.F) {
	for _, s := range []string{
		"{{a}}", "{{#if a}}b{{else if c}}d{{else}}e{{/if}}", "{{#each a}}{{@index}}{{this.b}}{{/each}}", `<a href="{{a}}">{{default a "b"}}</a>`, "{{!-- a --}}", `\{{a}}`, "{{~a~}}",
		"<!-- {{a}} -->", "{{#with (eq a b)}}{{../c}}{{/with}}", "{{a.[b c].0.length}}", "{{^a}}{{/a}}", "<p {{#if a}}b='c'{{/if}}>", "<b>{{content}}</b>",
	} {
		f.Add(s)
	}
	d := render.Data{"a": "<evil>", "b": []any{"<evil>", map[string]any{"c": "<evil>"}}, "data": map[string]any{"x": "<evil>"}}
	f.Fuzz(func(t *testing.T, source string) {
		for i, mode := range []render.Mode{render.Text, render.HTML, render.URL, render.Text, render.HTML} {
			parse := render.Parse
			if i > 2 {
				parse = render.ParseLayout
			}
			template, err := parse(source, mode)
			var e *render.Error
			if err != nil {
				if !errors.As(err, &e) || e.Line < 1 || e.Column < 1 || e.Message == "" {
					t.Errorf("%q: %v has no place", source, err)
				}
				continue
			}
			got, err := template.RenderAround(d, "")
			if err != nil && !errors.As(err, &e) || len(got.Text) > render.MaxOutput {
				t.Errorf("%q: %d bytes, %v", source, len(got.Text), err)
			}
			if mode == render.HTML && strings.Contains(got.Text, "<evil>") && !strings.Contains(source, "evil") {
				t.Errorf("%q prints data as markup: %q", source, got.Text)
			}
		}
	})
}
