package fyno_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the answers of testdata anew")

// rows plays the files of testdata, each named after a row of the contract with
// Fyno's clients, each with apps of its own. A line "> [AS] METHOD PATH BODY" is a
// request, and the line below it what is answered; what differs from run to run is
// replaced. With -update the answers are written.
func rows(t *testing.T, w *world) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no rows: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		t.Run(name, func(t *testing.T) {
			w.clock.set(time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC))
			play(t, w.another(t, name+"-"), file)
		})
	}
}

// differs are parts of answers that differ from run to run.
var differs = []struct {
	is    *regexp.Regexp
	shown string
}{
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), "{uuid}"},
	{regexp.MustCompile(`"profile_id":"[0-9a-f]{24}"`), `"profile_id":"{hex24}"`},
	{regexp.MustCompile(`"_id":"[^"]+"`), `"_id":"{id}"`},
}

func play(t *testing.T, w *world, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	id := regexp.MustCompile(`"_id":"([^"]+)"`)
	last := "" // the newest _id, which {id} in a request stands for
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "< ") {
			continue
		}
		out.WriteString(line)
		request, is := strings.CutPrefix(strings.TrimSpace(line), "> ")
		if !is {
			continue
		}
		words := strings.SplitN(request, " ", 3)
		as := "test"
		if name, given := strings.CutPrefix(words[0], "["); given {
			as, request = strings.TrimSuffix(name, "]"), strings.TrimPrefix(request, words[0]+" ")
			words = strings.SplitN(request, " ", 3)
		}
		words = append(words, "")
		w.clock.pass(time.Minute)
		status, answer := w.call(as, words[0], strings.ReplaceAll(words[1], "{id}", last), words[2])
		if m := id.FindStringSubmatch(answer); m != nil {
			last = m[1]
		}
		for _, d := range differs {
			answer = d.is.ReplaceAllString(answer, d.shown)
		}
		fmt.Fprintf(&out, "< %d %s\n", status, answer)
	}
	if *update {
		if err := os.WriteFile(file, []byte(out.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if out.String() != string(text) {
		t.Errorf("%s is now\n%s", file, out.String())
	}
}
