package user_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

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
		for i := range n - 2 {
			f.identify(t, fmt.Sprintf("user-%03d", i), `{"plan":"-1+1"}`)
		}
		f.identifyIn(t, f.other, "elsewhere", "")
		sent, _ := storetest.Send(t, f.store, f.env.ID, storetest.Sent{Title: "a form"}, f.identify(t, "bob", "").ID)
		if _, _, err := f.store.SetNotificationState(t.Context(), f.env.ID, model.Once{}, sent[0].UserID, sent[0].ID, model.StateChange{State: "sent in", Data: json.RawMessage(`{"answer":"yes"}`)}); err != nil {
			t.Fatal(err)
		}
		if err := f.store.SaveSeen(t.Context(), map[model.UserRef]time.Time{{Env: f.env.ID, ID: sent[0].UserID}: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}); err != nil {
			t.Fatal(err)
		}
		b, err := f.ExportLimited(t.Context(), f.env.ID, "bob", 1<<20)
		if err != nil || !bytes.Contains(b, []byte(`"lastSeenAt":"2026-01-01T00:00:00Z"`)) || !bytes.Contains(b, []byte(`"data":{"answer":"yes"}`)) {
			t.Errorf("what was filled in, or when bob was seen, is not in %s, %v", b, err)
		}
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
