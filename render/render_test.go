package render_test

import (
	"errors"
	"strings"
	"testing"

	"carillon/render"
)

const sample = `{
	"recipient": {"firstName": "Ada", "lastName": "", "odd name": "x"},
	"data": {
		"n": 3, "big": 12345678901234567890, "price": 1.50, "yes": true, "no": false, "nothing": null, "html": "<b>\"&'</b>",
		"template": "{{recipient.firstName}}", "items": [{"name": "a"}, {"name": "b"}], "words": ["x", "y", "z"], "empty": [],
		"map": {"k2": "v2", "k1": "v1"}, "order": {"id": 17, "lines": [{"sku": "s1"}]}, "js": "javascript:alert(1)", "url": "https://example.com/?a=b&c=d", "part": "a/b?c d&é"
	}
}`

func data(t testing.TB) render.Data {
	t.Helper()
	d, err := render.ParseData([]byte(sample))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestText(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, in, want string }{
		{"Plain", "hello } { }} text", "hello } { }} text"},
		{"Value", "Hi {{recipient.firstName}}!", "Hi Ada!"},
		{"Space", "{{ recipient.firstName }}", "Ada"},
		{"Missing", "[{{recipient.middleName}}{{data.a.b.c}}{{nobody}}]", "[]"},
		{"Values", "{{data.n}} {{data.big}} {{data.price}} {{data.yes}} {{data.no}} {{data.nothing}}", "3 12345678901234567890 1.50 true false "},
		{"List", "{{data.words}} {{data.words.1}} {{data.words.length}} {{data.words.9}}", `["x","y","z"] y 3 `},
		{"Brackets", "{{recipient.[odd name]}}", "x"},
		{"Escaped", `\{{not.a.tag}}`, "{{not.a.tag}}"},
		{"DataIsNoTemplate", "{{data.template}}", "{{recipient.firstName}}"},
		{"NotEscapedInText", "{{data.html}}", `<b>"&'</b>`},
		{"If", "{{#if data.yes}}a{{/if}}{{#if data.no}}b{{else}}c{{/if}}{{#if data.empty}}d{{^}}e{{/if}}", "ace"},
		{"ElseIf", "{{#if data.no}}a{{else if data.nothing}}b{{else if data.n}}c{{else}}d{{/if}}", "c"},
		{"Unless", "{{#unless data.no}}a{{else}}b{{/unless}}{{^data.no}}c{{/data.no}}", "ac"},
		{"Each", "{{#each data.items}}{{@index}}{{name}}{{#unless @last}},{{/unless}}{{/each}}", "0a,1b"},
		{"EachWords", "{{#each data.words}}{{this}}{{/each}}", "xyz"},
		{"EachMap", "{{#each data.map}}{{@key}}={{this}};{{/each}}", "k1=v1;k2=v2;"},
		{"EachNothing", "{{#each data.empty}}a{{else}}none{{/each}}{{#each data.n}}b{{else}}none{{/each}}", "nonenone"},
		{"Outside", "{{#each data.items}}{{../recipient.firstName}}{{recipient.firstName}}{{@root.data.n}} {{/each}}", "AdaAda3 AdaAda3 "},
		{"Nested", "{{#each data.items}}{{#each ../data.words}}{{../name}}{{this}}{{/each}}{{/each}}", "axayazbxbybz"},
		{"With", "{{#with data.order}}{{id}}{{#each lines}}{{sku}}{{/each}}{{/with}}{{#with data.nothing}}a{{else}}b{{/with}}", "17s1b"},
		{"Default", `{{default recipient.lastName "friend"}} {{default recipient.firstName 'x'}} {{default data.nothing (default data.no 7)}}`, "friend Ada 7"},
		{"Compare", `{{#if (eq data.n 3)}}a{{/if}}{{#if (ne data.n 3.0)}}b{{/if}}{{#if (gt data.n 2)}}c{{/if}}{{#if (lt data.n 10)}}d{{/if}}{{#if (eq recipient.firstName "Ada")}}e{{/if}}{{#if (eq data.nothing "")}}f{{/if}}`, "acde"},
		{"Logic", `{{#if (and data.yes (not data.no))}}a{{/if}}{{#if (or data.no data.nothing)}}b{{/if}}{{#if (eq (length data.words) 3)}}c{{/if}}`, "ac"},
		{"Comments", "a{{! a comment }}b{{!-- with }} and -- in it --}}c", "abc"},
		{"Tildes", "a  {{~ data.n ~}}  b {{~! x ~}} c", "a3bc"},
		{"OwnLine", "a\n  {{#if data.yes}}\nb\n{{/if}}\nc\n", "a\nb\nc\n"},
		{"OwnLineAtTheEnds", "{{#if data.yes}}\nb\n{{/if}}", "b\n"},
		{"NotItsOwnLine", "a {{#if data.yes}}\nb{{/if}}\nc", "a \nb\nc"},
		{"ThisAndDot", "{{#with data.n}}{{this}}{{.}}{{/with}}", "33"},
		{"QuotedBraces", `{{default data.nothing "}}"}}`, "}}"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			template, err := render.Parse(tt.in, render.Text)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := template.Render(data(t)); err != nil || got.Text != tt.want {
				t.Errorf("rendered %q, %v, want %q", got.Text, err, tt.want)
			}
		})
	}
}

func TestEscaping(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, in string
		mode     render.Mode
		want     string
	}{
		{"HTML", "<p>{{data.html}}</p>", render.HTML, "<p>&lt;b&gt;&#34;&amp;&#39;&lt;/b&gt;</p>"},
		{"Attribute", `<p title="{{data.html}}">`, render.HTML, `<p title="&lt;b&gt;&#34;&amp;&#39;&lt;/b&gt;">`},
		{"Title", `<title>{{data.html}}</title>`, render.HTML, `<title>&lt;b&gt;&#34;&amp;&#39;&lt;/b&gt;</title>`},
		{"Link", `<a href="{{data.url}}">`, render.HTML, `<a href="https://example.com/?a&#61;b&amp;c&#61;d">`},
		{"Script", `<a HREF = ' {{data.js}}'>`, render.HTML, `<a HREF = ' #'>`},
		{"ScriptInTwoParts", `<a href="{{default data.nothing 'java'}}{{data.js}}">`, render.HTML, `<a href="javajavascript%3Aalert%281%29">`},
		{"LinkWithin", `<a href="https://example.com/{{data.html}}">`, render.HTML, `<a href="https://example.com/&lt;b&gt;&#34;&amp;&#39;&lt;/b&gt;">`},
		{"BlockInAttribute", `<p class="a{{#if data.yes}} b{{else}} c{{/if}}">`, render.HTML, `<p class="a b">`},
		{"BlockInTag", `<p {{#if data.yes}}class="a"{{/if}}>`, render.HTML, `<p class="a">`},
		{"AfterComment", `<!-- a > b --><p>{{data.n}}`, render.HTML, `<!-- a > b --><p>3`},
		{"AfterStyle", `<style>a > b { c: "d" }</style><p>{{data.n}}`, render.HTML, `<style>a > b { c: "d" }</style><p>3`},
		{"URL", "{{data.url}}", render.URL, "https://example.com/?a=b&c=d"},
		{"URLPart", "https://example.com/{{data.part}}", render.URL, "https://example.com/a%2Fb%3Fc%20d%26%C3%A9"},
		{"URLBoth", "{{default data.nothing 'https://example.com/'}}{{data.part}}", render.URL, "https://example.com/a%2Fb%3Fc%20d%26%C3%A9"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			template, err := render.Parse(tt.in, tt.mode)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := template.Render(data(t)); err != nil || got.Text != tt.want {
				t.Errorf("rendered %s, %v, want %s", got.Text, err, tt.want)
			}
		})
	}
}

func TestMistakesHaveAPlace(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("{{#if a}}", 21) + strings.Repeat("{{/if}}", 21)
	for _, tt := range []struct {
		name, in, want string
		mode           render.Mode
	}{
		{"Open", "a\nbé{{x", "line 2, column 3: {{ is not closed", render.Text},
		{"Empty", "{{ }}", "line 1, column 1: there is nothing between the braces", render.Text},
		{"Raw", "a {{{x}}}", "line 1, column 3: three braces", render.Text},
		{"Ampersand", "{{&x}}", "line 1, column 1: & would print unescaped", render.Text},
		{"Partial", "{{> x}}", "line 1, column 1: there are no partials", render.Text},
		{"NotClosed", "{{#if x}}\n{{#each y}}\n{{/each}}", "line 1, column 1: this block is not closed by {{/if}}", render.Text},
		{"WrongClose", "{{#if x}}\n{{/each}}", "line 2, column 1: {{/each}} closes a block that {{#if x}} opened", render.Text},
		{"CloseAlone", "{{/if}}", "belongs to no block", render.Text},
		{"ElseAlone", "{{else}}", "belongs to no block", render.Text},
		{"TwoElses", "{{#if x}}{{else}}{{else}}{{/if}}", "line 1, column 18: this block has had its last else", render.Text},
		{"ElseIfOfEach", "{{#each x}}{{else if y}}{{/each}}", "only if and unless", render.Text},
		{"UnknownBlock", "{{#repeat 9}}{{/repeat}}", `there is no block "repeat"`, render.Text},
		{"UnknownHelper", "{{exec 'rm'}}", `"exec" is no helper`, render.Text},
		{"BlockWithoutValue", "{{#if}}{{/if}}", "a value is missing", render.Text},
		{"Arguments", "{{eq a}}", "", render.Text}, // two paths: eq is called
		{"Quote", "{{default a \"b}}", "is not closed", render.Text},
		{"Parenthesis", "{{#if (eq a b}}{{/if}}", "line 1, column 7: this parenthesis is not closed", render.Text},
		{"ParenthesisMore", "{{#if a)}}{{/if}}", "never opened", render.Text},
		{"ParenthesisEmpty", "{{#if ()}}{{/if}}", "nothing in the parentheses", render.Text},
		{"Path", "{{a..b}}", "is not a path", render.Text},
		{"PathSign", "{{a.b!}}", "is not a path", render.Text},
		{"Number", "{{12x}}", "is not a number", render.Text},
		{"At", "{{@partial}}", "@partial does not exist", render.Text},
		{"Deep", deep, "more than 20 blocks", render.Text},
		{"DeepParentheses", "{{#if " + strings.Repeat("(not ", 30) + "a" + strings.Repeat(")", 30) + "}}{{/if}}", "more than 20 parentheses", render.Text},
		{"Large", strings.Repeat("a", 128<<10+1), "at most 131072 bytes", render.Text},
		{"Comment", "a {{!-- b }}", "line 1, column 3: this comment does not end", render.Text},
		{"BareAttribute", "<p\nclass={{x}}>", "line 2, column 7: put the attribute's value into quotes", render.HTML},
		{"TagName", "<{{x}}>", "nothing can be printed here within a tag", render.HTML},
		{"AttributeName", "<p {{x}}='a'>", "nothing can be printed here within a tag", render.HTML},
		{"Script", "<script>var a = '{{x}}'</script>", "nothing can be printed into script", render.HTML},
		{"Style", "<style>{{x}}</style>", "nothing can be printed into style", render.HTML},
		{"Handler", `<p onclick="f('{{x}}')">`, "nothing can be printed into the attribute onclick", render.HTML},
		{"HTMLComment", "<!-- {{x}} -->", "nothing can be printed into a comment", render.HTML},
		{"BlockOverTags", `{{#if x}}<p title="{{/if}}">`, "line 1, column 1: this block begins and ends in different places", render.HTML},
		{"BlocksDiffer", `<p title="{{#if x}}a{{else}}"{{/if}}>`, "different places", render.HTML},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := render.Parse(tt.in, tt.mode)
			var e *render.Error
			if tt.want == "" {
				tt.want = "eq takes 2 to 2 arguments"
				if err == nil { // one word is a path
					return
				}
			}
			if !errors.As(err, &e) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestMissing(t *testing.T) {
	t.Parallel()
	template, err := render.Parse("{{recipient.firstName}}{{recipient.age}}{{data.x}}{{data.x}}{{default data.y 1}}", render.Text)
	if err != nil {
		t.Fatal(err)
	}
	got, err := template.Render(data(t))
	if err != nil || strings.Join(got.Missing, " ") != "recipient.age data.x" {
		t.Errorf("missing %q, %v", got.Missing, err)
	}
	if !template.Uses("recipient") || !template.Uses("data") || template.Uses("category") {
		t.Error("it does not say what it uses")
	}
}

func TestLayout(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		mode              render.Mode
		in, content, want string
	}{
		{render.HTML, "<html><h1>{{data.html}}</h1>{{~ content }}</html>", "<p>{{x}}</p>", "<html><h1>&lt;b&gt;&#34;&amp;&#39;&lt;/b&gt;</h1><p>{{x}}</p></html>"},
		{render.Text, "{{data.html}}:\n{{content}}\n-- \nBells", "<b>{{data.n}}</b>", "<b>\"&'</b>:\n<b>{{data.n}}</b>\n-- \nBells"},
		{render.HTML, "<p>{{data.content}}{{content}}</p>", render.TextAsHTML("a <b>\r\nc"), "<p>a &lt;b&gt;<br>\nc</p>"},
	} {
		layout, err := render.ParseLayout(tt.in, tt.mode)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := layout.RenderAround(data(t), tt.content); err != nil || got.Text != tt.want {
			t.Errorf("rendered %s, %v, want %s", got.Text, err, tt.want)
		}
	}
	if layout, err := render.ParseLayout("{{content}}.", render.Text); err != nil {
		t.Error(err)
	} else if _, err := layout.RenderAround(nil, strings.Repeat("a", render.MaxOutput)); err == nil {
		t.Error("a layout printed more than a template may")
	}
}

func TestMistakesOfLayoutsHaveAPlace(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		in, want string
		mode     render.Mode
	}{
		{"<html></html>", "line 1, column 1: a layout must have {{content}} once", render.HTML},
		{"{{data.content}}", "line 1, column 1: a layout must have {{content}} once", render.Text},
		{"{{content}}\n {{content}}", "line 2, column 2: this is the second {{content}}", render.Text},
		{"<p>\n<a title=\"{{content}}\">", "line 2, column 11: {{content}} must stand between tags", render.HTML},
		{"<script>{{content}}</script>", "line 1, column 9: {{content}} must stand between tags", render.HTML},
		{"{{#if a}}{{content}}{{/if}}", "line 1, column 10: {{content}} must stand outside of blocks", render.HTML},
		{"{{#each data.l}}{{content}}{{/each}}", "line 1, column 17: {{content}} must stand outside of blocks", render.Text},
		{"{{{content}}}", "line 1, column 1: three braces", render.HTML},
		{"{{> content}}", "line 1, column 1: there are no partials", render.HTML},
	} {
		if _, err := render.ParseLayout(tt.in, tt.mode); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.in, err, tt.want)
		}
	}
	for source, whole := range map[string]bool{"<p>a": true, "<p": false, "<p title='": false, "<!-- a": false, "<script>": false, "a < b": true} {
		if parsed, err := render.Parse(source, render.HTML); err != nil || parsed.Whole() != whole {
			t.Errorf("%s: %v", source, err)
		}
	}
}
