package user_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"carillon/model"
	"carillon/store/storetest"
)

// TestExportsGoThroughPages: what is more than a page comes whole, once each and
// of this environment alone.
func TestExportsGoThroughPages(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		const n = 230
		ada := f.identify(t, "ada", "")
		for i := range n {
			storetest.Send(t, f.store, f.env.ID, storetest.Sent{Title: fmt.Sprintf("title %d", i)}, ada.ID)
		}
		for i := range n - 1 {
			f.identify(t, fmt.Sprintf("user-%03d", i), `{"plan":"-1+1"}`)
		}
		f.identifyIn(t, f.other, "elsewhere", "")
		var one, all bytes.Buffer
		if err := f.Export(t.Context(), f.env.ID, "ada", &one); err != nil {
			t.Fatal(err)
		}
		var got struct{ Notifications []struct{ Title string } }
		if err := json.Unmarshal(one.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		titles := map[string]bool{}
		for _, v := range got.Notifications {
			titles[v.Title] = true
		}
		if len(got.Notifications) != n || len(titles) != n {
			t.Errorf("%d notifications with %d titles, want %d", len(got.Notifications), len(titles), n)
		}
		if err := f.ExportCSV(t.Context(), f.env.ID, &all); err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(&all).ReadAll()
		if err != nil || len(rows) != n+1 || rows[2][len(rows[2])-1] != "'-1+1" {
			t.Errorf("%d rows, %v; want %d and no formula in %q", len(rows), err, n+1, rows[2])
		}
		if err := f.Export(t.Context(), f.other.ID, "ada", &one); model.KindOf(err) != model.KindNotFound {
			t.Errorf("another environment's user: %v", err)
		}
		if err := f.ExportCSV(t.Context(), f.env.ID, broken{}); !errors.Is(err, errBroken) {
			t.Errorf("writing to a client who is gone: %v", err)
		}
	})
}

var errBroken = errors.New("gone")

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errBroken }
