package main

import (
	"encoding/json"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestTemplateBombsEndInAnError saves and previews templates that would take for
// ever, and wants an error with a place, soon and without much memory.
func TestTemplateBombsEndInAnError(t *testing.T) {
	e := startEmbedded(t)
	key := e.demoKey(t)
	list := make([]int, 5000)
	data := map[string]any{"list": list, "long": strings.Repeat("x", 30<<10)}
	loops := func(n int, body string) string {
		return strings.Repeat("{{#each data.list}}", n) + body + strings.Repeat("{{/each}}", n)
	}
	const (
		save    = `mutation($c: TemplateContentInput!) { createTemplate(input: {identifier: "bomb", name: "Bomb", content: $c}) { template { id } userErrors { message } } }`
		preview = `mutation($c: TemplateContentInput!, $d: JSON) { previewTemplate(input: {content: $c, data: $d}) { previews { body } userErrors { message } } }`
	)
	for _, tt := range []struct{ name, query, body string }{
		{"Depth", save, strings.Repeat("{{#if a}}", 1000) + strings.Repeat("{{/if}}", 1000)},
		{"Open", save, strings.Repeat("{{#each data.list}}", 1000)},
		{"Parentheses", save, "{{#if " + strings.Repeat("(eq ", 5000) + "}}"},
		{"Loops", preview, loops(5, "")},
		{"Output", preview, loops(3, "aaaaaaaaaaaaaaaa")},
		{"LongValue", preview, loops(2, "{{data.long}}")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			runtime.GC()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			began := time.Now()
			b, err := json.Marshal(e.ask(t, key, tt.query, map[string]any{"c": map[string]any{"title": "T", "body": tt.body}, "d": data}))
			took := time.Since(began)
			runtime.ReadMemStats(&after)
			if err != nil || !strings.Contains(string(b), "line 1, column ") {
				t.Errorf("the answer is %.300s, %v", b, err)
			}
			if took > 5*time.Second {
				t.Errorf("it took %s", took)
			}
			if grown := int64(after.HeapInuse) - int64(before.HeapInuse); grown > 64<<20 {
				t.Errorf("the heap has grown by %d MB", grown>>20)
			}
		})
	}
}
