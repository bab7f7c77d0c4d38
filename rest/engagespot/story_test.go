package engagespot_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"carillon/model"
	"carillon/notify"
	"carillon/store/storetest"
)

var update = flag.Bool("update", false, "write the answers of testdata anew")

// TestStories plays the requests of testdata one after the other and compares
// the answers, so that a change of shape is seen in review. Each folder is a
// story with a world of its own. A .http file is a request as it goes over the
// wire, but for line ends, Host and Content-Length, below lines with # that
// explain it or "# save NAME PATH": the number at a path of the answer is {{NAME}}
// from then on. Beside it lies the .answer.
func TestStories(t *testing.T) {
	t.Parallel()
	stories, err := filepath.Glob("testdata/*")
	if err != nil || len(stories) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, dir := range stories {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			if *update {
				play(newWorld(t, storetest.SQLite(t)), dir)
				return
			}
			storetest.EachURL(t, func(t *testing.T, url string) { play(newWorld(t, url), dir) })
		})
	}
}

// play plays a story.
func play(w *world, dir string) {
	w.t.Helper()
	s := &story{world: w, names: map[string]string{
		"key": "key_shop", "secret": w.shop.APISecret, "token": token(w.vault, "ada@example.com"), "vaultKey": "key_vault", "vaultSecret": w.vault.APISecret,
		"sealedKey": "key_sealed", "signature": sign(w.sealed, "ada@example.com"),
	}}
	files, err := filepath.Glob(filepath.Join(dir, "*.http"))
	if err != nil || len(files) == 0 {
		w.t.Fatalf("%s: no requests: %v", dir, err)
	}
	slices.Sort(files)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			w.t.Fatal(err)
		}
		w.clock.pass(time.Minute)
		request, saves := s.request(string(text))
		a := w.raw(request)
		for name, path := range saves {
			s.save(file, name, path, a.body)
		}
		s.settle()
		got := s.shown(a)
		pinned := strings.TrimSuffix(file, ".http") + ".answer"
		if *update {
			if err := os.WriteFile(pinned, []byte(got), 0o600); err != nil {
				w.t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(pinned)
		if err != nil {
			w.t.Fatal(err)
		}
		if got != string(want) {
			w.t.Errorf("%s:\n%s\nwant\n%s", file, got, want)
		}
	}
}

// story is a story being played.
type story struct {
	*world
	names map[string]string // what stands for what
}

var placeholder = regexp.MustCompile(`\{\{(\w+)\}\}`)

// request makes the bytes of a request.
func (s *story) request(text string) (request []byte, saves map[string]string) {
	s.t.Helper()
	saves = map[string]string{}
	for strings.HasPrefix(text, "#") {
		var line string
		line, text, _ = strings.Cut(text, "\n")
		if words := strings.Fields(line); len(words) == 4 && words[1] == "save" {
			saves[words[2]] = words[3]
		}
	}
	text = placeholder.ReplaceAllStringFunc(text, func(p string) string {
		value, ok := s.names[strings.Trim(p, "{}")]
		if !ok {
			s.t.Fatalf("nothing is called %s yet", p)
		}
		return value
	})
	head, body, _ := strings.Cut(text, "\n\n")
	body = strings.TrimSuffix(body, "\n")
	var b bytes.Buffer
	for i, line := range strings.Split(strings.TrimSuffix(head, "\n"), "\n") {
		b.WriteString(line + "\r\n")
		if i == 0 {
			b.WriteString("Host: notify.example.com\r\n")
		}
	}
	if body != "" || !strings.HasPrefix(text, "GET ") {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(body))
	}
	b.WriteString("\r\n" + body)
	return b.Bytes(), saves
}

// save names the number at a path of a body.
func (s *story) save(file, name, path, body string) {
	s.t.Helper()
	d := json.NewDecoder(strings.NewReader(body))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		s.t.Fatalf("%s: %s: %v", file, body, err)
	}
	for _, step := range strings.Split(path, ".") {
		switch at := v.(type) {
		case map[string]any:
			v = at[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i >= len(at) {
				s.t.Fatalf("%s: no %s in %s", file, path, body)
			}
			v = at[i]
		}
	}
	if v == nil {
		s.t.Fatalf("%s: no %s in %s", file, path, body)
	}
	s.names[name] = fmt.Sprint(v)
}

// settle waits for sends that are expanded in the background.
func (s *story) settle() {
	s.t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		page, err := s.sends.List(s.t.Context(), s.shop.Environment.ID, model.SendFilter{Statuses: []model.SendStatus{model.SendExpanding}}, model.PageRequest{Limit: 1})
		if err != nil {
			s.t.Fatal(err)
		}
		if len(page.Items) == 0 {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatal("a send is still being expanded")
		}
		stream, err := s.sends.WatchProgress(s.t.Context(), s.shop.Environment.ID, page.Items[0].ID, func() {})
		if err != nil {
			s.t.Fatal(err)
		}
		s.drain(stream)
	}
}

func (s *story) drain(stream *notify.ProgressStream) {
	defer stream.Close()
	_, _, _ = stream.Next(s.t.Context())
}

var (
	uuids = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	keys  = regexp.MustCompile(`"publicKey":"[A-Za-z0-9_-]{87}"`)
	apps  = regexp.MustCompile(`"app":\{"id":\d+`)
)

// shown is an answer with names for what differs from run to run.
func (s *story) shown(a answer) string {
	var b strings.Builder
	fmt.Fprintf(&b, "HTTP/1.1 %d\n", a.status)
	var names []string
	for name := range a.header {
		if name != "Date" && name != "Content-Length" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(&b, "%s: %s\n", name, strings.Join(a.header[name], ", "))
	}
	body := a.body
	var pretty bytes.Buffer
	body = uuids.ReplaceAllString(body, "{{uuid}}")
	body = keys.ReplaceAllString(body, `"publicKey":"{{vapid}}"`)
	body = apps.ReplaceAllString(body, `"app":{"id":0`)
	for _, name := range sortedKeys(s.names) {
		if value := s.names[name]; len(value) > 3 && strings.Trim(value, "0123456789") == "" {
			body = regexp.MustCompile(`"id":`+value+`\b`).ReplaceAllString(body, `"id":"{{`+name+`}}"`)
		}
	}
	if json.Indent(&pretty, []byte(body), "", "  ") == nil {
		body = pretty.String()
	}
	// Ids are numbers on the wire: only here do they have names.
	return b.String() + "\n" + regexp.MustCompile(`"(\{\{\w+\}\})"`).ReplaceAllString(body, "$1") + "\n"
}

func sortedKeys(m map[string]string) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
