package engage_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the answers of testdata anew")

// rows plays the files of testdata, each named after a row of the contract with
// Engage's clients, each in environments of its own. A line "> [AS] METHOD PATH
// BODY" is a request, and the line below it what is answered. Ids have names there,
// in the order in which they are first told; requests use them too. With -update
// the answers are written.
func rows(t *testing.T, w *world) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no rows: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		t.Run(name, func(t *testing.T) { w.another(t, name+" ").playFile(file) })
	}
}

// ids are texts that differ from run to run, and what their names begin with.
var ids = []struct {
	is   *regexp.Regexp
	name string
}{
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), "uuid"},
	{regexp.MustCompile(`gen-[0-9A-Za-z]+`), "generated"},
	{regexp.MustCompile(`\b0{8}[0-9a-f]{16}\b`), "id"},
}

// clockTime is a time that the server made, not one that it was told.
var clockTime = regexp.MustCompile(`2026-01-02T03:[0-9:.]+\+00:00`)

// names are the ids that a file has met.
type names struct{ of, ids map[string]string }

func (n names) hide(answer string) string {
	for _, kind := range ids {
		answer = kind.is.ReplaceAllStringFunc(answer, func(id string) string {
			if n.of[id] == "" {
				for i := 1; ; i++ {
					if name := fmt.Sprintf("{%s%d}", kind.name, i); n.ids[name] == "" {
						n.of[id], n.ids[name] = name, id
						break
					}
				}
			}
			return n.of[id]
		})
	}
	return clockTime.ReplaceAllString(answer, "{now}")
}

func (n names) show(request string) string {
	for name, id := range n.ids {
		request = strings.ReplaceAll(request, name, id)
	}
	return request
}

func (w *world) playFile(file string) {
	w.t.Helper()
	before, err := os.ReadFile(file)
	if err != nil {
		w.t.Fatal(err)
	}
	var out strings.Builder
	known := names{map[string]string{}, map[string]string{}}
	for line := range strings.Lines(string(before)) {
		if strings.HasPrefix(line, "< ") {
			continue
		}
		out.WriteString(line)
		request, is := strings.CutPrefix(strings.TrimSpace(line), "> [")
		if !is {
			continue
		}
		as, rest, _ := strings.Cut(request, "] ")
		words := append(strings.SplitN(known.show(rest), " ", 3), "")
		status, answer := w.do(map[string]string{"both": both, "key": key, "other": other, "wrong": wrong, "none": none}[as], words[0]+" "+words[1], words[2])
		fmt.Fprintf(&out, "< %d %s\n", status, known.hide(answer))
	}
	if *update {
		if err := os.WriteFile(file, []byte(out.String()), 0o600); err != nil {
			w.t.Fatal(err)
		}
		return
	}
	if out.String() != string(before) {
		w.t.Errorf("%s is now\n%s", file, out.String())
	}
}
