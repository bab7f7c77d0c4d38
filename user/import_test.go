package user_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"carillon/model"
	"carillon/user"
)

// imported uploads a file and works on it.
func (f *fixture) imported(t *testing.T, file string, dryRun bool) model.Import {
	t.Helper()
	i, err := f.Import(t.Context(), f.env.ID, strings.NewReader(file), dryRun)
	if err != nil || i.Status != model.ImportRunning {
		t.Fatalf("uploading: %+v, %v", i, err)
	}
	if err := f.Imports(t.Context()); err != nil {
		t.Fatal(err)
	}
	if i, err = f.FindImport(t.Context(), f.env.ID, i.ID); err != nil || i.Status != model.ImportDone || i.Processed != i.Total {
		t.Fatalf("importing: %+v, %v", i, err)
	}
	if other, err := f.FindImport(t.Context(), f.other.ID, i.ID); model.KindOf(err) != model.KindNotFound {
		t.Errorf("another environment sees %+v, %v", other, err)
	}
	return i
}

func wantCounts(t *testing.T, i model.Import, created, changed, same, invalid, duplicates int64) {
	t.Helper()
	if i.Created != created || i.Changed != changed || i.Same != same || i.Invalid != invalid || i.Duplicates != duplicates {
		t.Errorf("created %d, changed %d, same %d, invalid %d, duplicates %d; want %d, %d, %d, %d, %d; errors %+v",
			i.Created, i.Changed, i.Same, i.Invalid, i.Duplicates, created, changed, same, invalid, duplicates, i.Errors)
	}
}

const someFile = "\ufeffIdentifier,First Name,phone_number,plan,attributes.seats,attributes.tags,enabled,userKind,topics\r\n" +
	"ada,Ada,'+1 (555) 123-0001,gold,5,\"[\"\"x\"\",1]\",true,PERSON,news\r\n" +
	"bob,\"Bob, \"\"the\"\" builder\",,007,,,FALSE,account,\r\n" +
	"ada,Again,,,,,,,\r\n" +
	"cleo,,not a number,,,,,,\r\n" +
	"dan,'=SUM(A1),,''=x,,,,,\r\n" +
	",,,,,,,,\r\n" +
	"eve,x\r\n" +
	"fay,,,,,,perhaps,,\r\n" +
	"gus,\xff,,,,,,,\r\n"

func TestImport(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.identify(t, "bob", `{"plan":"free","city":"Bonn"}`)
		f.identifyIn(t, f.other, "ada", `{"plan":"other"}`)
		dry := f.imported(t, someFile, true)
		wantCounts(t, dry, 2, 1, 0, 5, 1)
		if _, err := f.Find(t.Context(), f.env.ID, "ada"); model.KindOf(err) != model.KindNotFound {
			t.Errorf("a dry run made ada: %v", err)
		}
		i := f.imported(t, someFile, false)
		wantCounts(t, i, 2, 1, 0, 5, 1)
		for identifier, want := range map[string]string{
			"ada": `{"firstName":"Ada","phoneNumber":"+15551230001","plan":"gold","seats":5,"tags":["x",1]}`,
			"bob": `{"city":"Bonn","firstName":"Bob, \"the\" builder","plan":"007"}`,
			"dan": `{"firstName":"=SUM(A1)","plan":"'=x"}`,
		} {
			if got := f.find(t, identifier); string(got.Profile.Attributes) != want || got.Enabled == (identifier == "bob") || (got.Kind == model.UserAccount) != (identifier == "bob") {
				t.Errorf("%s is %s, enabled %v, %s; want %s", identifier, got.Profile.Attributes, got.Enabled, got.Kind, want)
			}
		}
		for n, want := range []model.ImportError{
			{Line: 4, Column: "Identifier", Message: "line 2"},
			{Line: 5, Column: "phone_number", Message: "phone number"},
			{Line: 7, Column: "Identifier", Message: "must"},
			{Line: 8, Message: "9 cells"},
			{Line: 9, Column: "enabled", Message: "true or false"},
			{Line: 10, Message: "UTF-8"},
		} {
			found := false
			for _, e := range i.Errors {
				found = found || e.Line == want.Line && e.Column == want.Column && strings.Contains(e.Message, want.Message)
			}
			if !found {
				t.Errorf("error %d: none like %+v among %+v", n, want, i.Errors)
			}
		}
		wantCounts(t, f.imported(t, someFile, false), 0, 0, 3, 5, 1)
		if ignored := i.Ignored(); len(ignored) != 0 {
			t.Errorf("ignored %q", ignored)
		}
		if u, err := f.Find(t.Context(), f.other.ID, "ada"); err != nil || string(u.Profile.Attributes) != `{"plan":"other"}` {
			t.Errorf("another environment's ada is %s, %v", u.Profile.Attributes, err)
		}
	})
}

func TestWhatIsExportedIsImportedAgain(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.populate(t)
		f.identify(t, "=formula", `{"firstName":"-1","plan":"''=twice","note":"two\nlines;and, more"}`)
		var file bytes.Buffer
		if err := f.ExportCSV(t.Context(), f.env.ID, &file); err != nil {
			t.Fatal(err)
		}
		i := f.imported(t, file.String(), false)
		wantCounts(t, i, 0, 0, i.Total-i.Invalid, i.Invalid, 0)
		for _, e := range i.Errors { // values of another type than the property's
			if e.Column != "attributes.seats" && e.Column != "attributes.tags" {
				t.Errorf("%+v", e)
			}
		}
		before := f.find(t, "=formula")
		i, err := f.Import(t.Context(), f.other.ID, &file, false)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Imports(t.Context()); err != nil {
			t.Fatal(err)
		}
		after, err := f.Find(t.Context(), f.other.ID, "=formula")
		if err != nil || string(after.Profile.Attributes) != string(before.Profile.Attributes) {
			t.Errorf("%s came back as %s, %v", before.Profile.Attributes, after.Profile.Attributes, err)
		}
	})
}

func TestImportRefusesFiles(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		for name, tt := range map[string]struct{ file, want string }{
			"Empty":         {"", "empty"},
			"UTF16":         {"\xff\xfei\x00d\x00", "UTF-16"},
			"NoIdentifier":  {"firstName\nAda\n", "identifier"},
			"UnknownHeader": {"identifier,colour\n", "colour"},
			"TwiceTheSame":  {"identifier,email,E-Mail\n", "another column"},
			"BadName":       {"identifier,attributes.\n", "no column"},
			"OpenQuote":     {"identifier\n\"ada\n", "line 2"},
			"EndlessQuote":  {"identifier\n\"" + strings.Repeat("a", 1<<20), "quote"},
			"BareQuote":     {"identifier\nad\"a\n", "line 2"},
			"ManyColumns":   {"identifier" + strings.Repeat(",", 300_000) + "\n", "at most 1100 columns, has 300001"},
			"AllWrong":      {"identifier" + strings.Repeat(",colour", 1000) + "\n", "colour"},
			"LongHeader":    {"id" + strings.Repeat("_", 250_000) + "\n", "must have at most 267 bytes, has 250002"},
		} {
			i, err := f.Import(t.Context(), f.env.ID, strings.NewReader(tt.file), false)
			e, ok := errors.AsType[*model.Error](err)
			if !ok || e.Kind != model.KindInvalid || !strings.Contains(fmt.Sprint(e.Message, e.Problems), tt.want) {
				t.Errorf("%s: %+v, %v", name, i, err)
				continue
			}
			if len(e.Problems) > 21 {
				t.Errorf("%s: %d problems are told", name, len(e.Problems))
			}
		}
		broken := io.MultiReader(strings.NewReader("identifier\n"+strings.Repeat("ada\n", 50_000)), failing{})
		if _, err := f.Import(t.Context(), f.env.ID, broken, false); !errors.Is(err, errCut) {
			t.Errorf("a broken upload: %v", err)
		}
		if err := f.Imports(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Find(t.Context(), f.env.ID, "ada"); model.KindOf(err) != model.KindNotFound {
			t.Errorf("of a broken upload came %v", err)
		}
	})
}

var errCut = errors.New("cut")

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errCut }

func TestImportsAreBounded(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		for n := range model.MaxOpenImports + 1 {
			_, err := f.Import(t.Context(), f.env.ID, strings.NewReader("id;email\nada;a@example.com\n"), false)
			if (model.KindOf(err) == model.KindLimit) != (n == model.MaxOpenImports) {
				t.Errorf("import %d: %v", n, err)
			}
		}
		if _, err := f.Import(t.Context(), f.other.ID, strings.NewReader("id\nada\n"), false); err != nil {
			t.Errorf("another environment: %v", err)
		}
	})
}

func TestTwoWorkersDoEachPartOnce(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		var file strings.Builder
		file.WriteString("identifier,n\n")
		f.identify(t, "x", `{"n":1}`)
		const rows = 3500
		for n := range rows {
			fmt.Fprintf(&file, "u%d,%d\n", n%(rows-1), n)
		}
		i, err := f.Import(t.Context(), f.env.ID, strings.NewReader(file.String()), false)
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 2)
		for range cap(done) {
			go func() { done <- f.Imports(t.Context()) }()
		}
		if err := errors.Join(<-done, <-done); err != nil {
			t.Fatal(err)
		}
		i, err = f.FindImport(t.Context(), f.env.ID, i.ID)
		if err != nil || i.Processed != rows || i.Status != model.ImportDone {
			t.Errorf("%+v, %v", i, err)
		}
		wantCounts(t, i, rows-1, 0, 0, 0, 1)
		f.clock.advance(31 * 24 * time.Hour)
		if err := f.Imports(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := f.FindImport(t.Context(), f.env.ID, i.ID); model.KindOf(err) != model.KindNotFound {
			t.Errorf("after 31 days: %v", err)
		}
	})
}

func TestImportPutsUsersOnTopics(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		for _, name := range []string{"news", "offers", "old"} {
			if _, err := f.store.CreateTopic(t.Context(), f.env.ID, model.Once{}, name, name, model.TopicDetails{}); err != nil {
				t.Fatal(err)
			}
		}
		yes := true
		if _, err := f.store.UpdateTopic(t.Context(), f.env.ID, model.Once{}, "old", model.TopicChanges{Archived: &yes}); err != nil {
			t.Fatal(err)
		}
		if _, err := f.store.CreateTopic(t.Context(), f.other.ID, model.Once{}, "theirs", "T", model.TopicDetails{}); err != nil {
			t.Fatal(err)
		}
		f.identify(t, "bob", `{}`)
		f.identify(t, "cleo", `{}`)
		if _, err := f.store.SubscribeToTopic(t.Context(), f.env.ID, model.Once{}, "news", []model.TopicMember{{Identifier: "bob", Unsubscribed: true}, {Identifier: "cleo"}}); err != nil {
			t.Fatal(err)
		}
		const file = "id,topics\nada,news; offers;news\nbob,news\ncleo,\"news;offers;nothing;old;theirs\"\ndan,\n"
		wantCounts(t, f.imported(t, file, true), 2, 1, 1, 0, 0)
		i := f.imported(t, file, false)
		wantCounts(t, i, 2, 1, 1, 0, 0)
		if len(i.Errors) != 1 || i.Errors[0].Line != 4 || i.Errors[0].Column != "topics" || !strings.Contains(i.Errors[0].Message, `without "nothing", "old", "theirs"`) {
			t.Errorf("errors %+v; want one about three topics of cleo's", i.Errors)
		}
		for identifier, want := range map[string]string{"ada": "news,offers", "bob": "", "cleo": "news,offers", "dan": ""} {
			u := f.find(t, identifier)
			on, err := f.store.TopicsOfUsers(t.Context(), f.env.ID, []model.UserID{u.ID})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, s := range on[u.ID] {
				if s.Subscribed {
					got = append(got, s.Topic.Identifier)
				}
			}
			slices.Sort(got)
			if strings.Join(got, ",") != want {
				t.Errorf("%s is on %q, want %q", identifier, got, want)
			}
		}
		wantCounts(t, f.imported(t, file, false), 0, 0, 4, 0, 0)
	})
}

func TestImportKnowsWhenUsersSignedUp(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.identify(t, "bob", `{}`)
		const file = "id,Created At\nada,2019-03-04T05:06:07+02:00\nbob,2020-02-03\ncleo,2020-02-03 04:05:06\ndan,yesterday\neve,0001-01-01\nfay,\n"
		wantCounts(t, f.imported(t, file, true), 3, 1, 0, 2, 0)
		i := f.imported(t, file, false)
		wantCounts(t, i, 3, 1, 0, 2, 0)
		for _, e := range i.Errors {
			if e.Column != "Created At" || !strings.Contains(e.Message, "must be a time") {
				t.Errorf("%+v", e)
			}
		}
		for identifier, want := range map[string]string{"ada": "2019-03-04T03:06:07Z", "bob": "2020-02-03T00:00:00Z", "cleo": "2020-02-03T04:05:06Z"} {
			if got := f.find(t, identifier).SignedUpAt.Format(time.RFC3339); got != want {
				t.Errorf("%s signed up at %s, want %s", identifier, got, want)
			}
		}
		if u := f.find(t, "fay"); !u.SignedUpAt.Equal(u.CreatedAt) {
			t.Errorf("of whom nothing is said signed up at %s, was created at %s", u.SignedUpAt, u.CreatedAt)
		}
		i = f.imported(t, "id,createdAt,signedUpAt\nada,2000-01-01,2018-01-01\n", false)
		if ignored := i.Ignored(); len(ignored) != 1 || ignored[0] != "createdAt" || f.find(t, "ada").SignedUpAt.Year() != 2018 {
			t.Errorf("with both columns %q is ignored, and ada signed up at %s", ignored, f.find(t, "ada").SignedUpAt)
		}
	})
}

// TestImportTellsOfEveryChange wants webhooks to hear of who changed, whatever it
// was, once.
func TestImportTellsOfEveryChange(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		for _, identifier := range []string{"ada", "bob", "cleo", "same"} {
			f.identify(t, identifier, `{"plan":"gold"}`)
		}
		hook, err := f.store.CreateWebhookEndpoint(t.Context(), model.Once{}, model.WebhookEndpoint{EnvID: f.env.ID, ID: "hook", URL: "https://hooks.example.com", Types: []string{"user.updated"}, Enabled: true, Sealed: []byte("s")})
		if err != nil {
			t.Fatal(err)
		}
		file := "id,enabled,userKind,signedUpAt,plan\nada,false,,,\nbob,,ACCOUNT,,\ncleo,,,2019-01-01,silver\nsame,true,PERSON,,gold\n"
		wantCounts(t, f.imported(t, file, true), 0, 3, 1, 0, 0)
		wantCounts(t, f.imported(t, file, false), 0, 3, 1, 0, 0)
		page, err := f.store.ListWebhookEvents(t.Context(), model.WebhookEndpointRef{Env: f.env.ID, ID: hook.Value.ID}, nil, model.PageRequest{Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		told := map[model.UserID]int{}
		for _, e := range page.Items {
			told[e.UserID]++
		}
		for identifier, want := range map[string]int{"ada": 1, "bob": 1, "cleo": 1, "same": 0} {
			if got := told[f.find(t, identifier).ID]; got != want {
				t.Errorf("webhooks are told of %s %d times, want %d", identifier, got, want)
			}
		}
	})
}

// TestCanceledImportKeepsWhatWasDone: an import that is canceled between two
// parts has the users and the counts of the first, and leaves no part behind.
func TestCanceledImportKeepsWhatWasDone(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		var file strings.Builder
		file.WriteString("id\n")
		for n := range 2500 {
			fmt.Fprintf(&file, "u%d\n", n)
		}
		i, err := f.Import(t.Context(), f.env.ID, strings.NewReader(file.String()), false)
		if err != nil {
			t.Fatal(err)
		}
		f.Store = &canceling{Store: f.Store, then: func() {
			if out, err := f.CancelImport(t.Context(), f.env.ID, model.Once{}, i.ID); err != nil || out.Value.Status != model.ImportCanceled || out.Value.Processed != 1000 {
				t.Errorf("canceling: %+v, %v", out.Value, err)
			}
		}}
		if err := f.Imports(t.Context()); err != nil {
			t.Fatal(err)
		}
		got, err := f.FindImport(t.Context(), f.env.ID, i.ID)
		if err != nil || got.Status != model.ImportCanceled || got.Processed != 1000 || got.Total != 2500 || got.FinishedAt.IsZero() {
			t.Errorf("afterwards %+v, %v", got, err)
		}
		wantCounts(t, got, 1000, 0, 0, 0, 0)
		f.find(t, "u999")
		if _, err := f.Find(t.Context(), f.env.ID, "u1000"); model.KindOf(err) != model.KindNotFound {
			t.Errorf("a row after the cancellation became a user: %v", err)
		}
		if _, found, err := f.store.NextImport(t.Context(), 0); err != nil || found {
			t.Errorf("something of it is left: %v, %v", found, err)
		}
		if _, err := f.CancelImport(t.Context(), f.env.ID, model.Once{}, i.ID); err != nil {
			t.Errorf("canceled again: %v", err)
		}
		if _, err := f.CancelImport(t.Context(), f.other.ID, model.Once{}, i.ID); model.KindOf(err) != model.KindNotFound {
			t.Errorf("another environment: %v", err)
		}
		done := f.imported(t, "id\nada\n", false)
		if _, err := f.CancelImport(t.Context(), f.env.ID, model.Once{}, done.ID); model.KindOf(err) != model.KindConflict {
			t.Errorf("one that is done: %v", err)
		}
	})
}

// canceling does something after the first part of an import.
type canceling struct {
	user.Store
	then func()
}

func (s *canceling) SaveImport(ctx context.Context, w model.ImportWork) (bool, error) {
	busy, err := s.Store.SaveImport(ctx, w)
	if s.then != nil {
		then := s.then
		s.then = nil
		then()
	}
	return busy, err
}
