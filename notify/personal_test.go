package notify_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"carillon/catalog"
	"carillon/model"
	"carillon/notify"
)

// people find users for templates.
type people struct{ *fixture }

func (p people) Find(ctx context.Context, env model.EnvID, identifier string) (model.User, error) {
	return p.store.User(ctx, env, identifier)
}

// named makes users with a first name: their identifier in capitals.
func (f *fixture) named(t testing.TB, identifiers ...string) {
	t.Helper()
	var in []model.IdentifyInput
	for _, id := range identifiers {
		in = append(in, model.IdentifyInput{Identifier: id, Attributes: []byte(fmt.Sprintf(`{"firstName":%q,"site":"https://example.com/%s"}`, strings.ToUpper(id), id))})
	}
	if _, err := f.Users.IdentifyMany(t.Context(), f.env.ID, model.Once{}, in); err != nil {
		t.Fatal(err)
	}
}

// greeting makes a template that names the recipient, and the service speak it.
func (f *fixture) greeting(t testing.TB) *catalog.Templates {
	t.Helper()
	templates := &catalog.Templates{Store: f.store, Users: people{f}}
	f.Templates = templates
	_, err := templates.Create(t.Context(), f.env.ID, model.Once{}, model.Template{
		Identifier: "hi", Name: "Hi", Content: model.TemplateText{Title: "Hi {{recipient.firstName}}", Body: "about {{data.what}}", URL: "{{recipient.site}}"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return templates
}

// greet is a send of that template.
func greet(users ...string) model.SendRequest {
	return model.SendRequest{To: model.SendTarget{Users: users}, Template: "hi", Content: model.Content{Data: []byte(`{"what":"bells"}`)}}
}

// reads is what users read of a send, "identifier: title, url".
func (f *fixture) reads(t testing.TB, id model.SendID) []string {
	t.Helper()
	page, err := f.store.NotificationLog(t.Context(), f.env.ID, model.NotificationFilter{Send: id}, model.PageRequest{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, n := range page.Items {
		if n.Content.Body != "about bells" {
			t.Errorf("it says %q", n.Content.Body)
		}
		who := f.identifier(t, n.UserID)
		out = append(out, strings.TrimSuffix(fmt.Sprintf("%s: %s, %s", who, n.Content.Title, n.Content.URL), ", "))
	}
	slices.Sort(out)
	return out
}

func (f *fixture) identifier(t testing.TB, id model.UserID) string {
	t.Helper()
	users, err := f.store.UsersByID(t.Context(), f.env.ID, []model.UserID{id})
	if err != nil || len(users) != 1 {
		t.Fatalf("user %d: %v, %v", id, users, err)
	}
	return users[0].Identifier
}

// greeted is what users read who were greeted by name.
func greeted(users ...string) (out []string) {
	for _, u := range users {
		out = append(out, fmt.Sprintf("%s: Hi %s, https://example.com/%[1]s", u, strings.ToUpper(u)))
	}
	return out
}

func TestEachRecipientReadsTheirOwn(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.greeting(t)
		f.named(t, "ada", "bob", "eve", "kim")
		f.users(t, "zed") // without a name
		f.topic(t, "news", member("eve"), member("kim"))
		check := func(name string, id model.SendID, want ...string) {
			t.Helper()
			f.expand(t)
			if got := f.reads(t, id); !slices.Equal(got, want) {
				t.Errorf("%s: users read %q, want %q", name, got, want)
			}
			if title := f.mustFind(t, id).Content.Title; title != "Hi" {
				t.Errorf("%s: the send itself says %q", name, title)
			}
		}

		few := greet("ada", "bob", "zed", "new")
		few.OnUnknown = model.UnknownCreate
		few.To.Inline = []model.IdentifyInput{{Identifier: "bob", Attributes: []byte(`{"site":"javascript:x"}`)}}
		id := f.mustSend(t, few).Send.ID
		check("a few", id, "ada: Hi ADA, https://example.com/ada", "bob: Hi BOB", "new: Hi", "zed: Hi")
		for _, h := range f.hub.hints() {
			if c := h.Change; c != nil {
				who := f.identifier(t, c.User)
				if title := c.Added[0].Content.Title; (who == "ada" || who == "bob") && title != "Hi "+strings.ToUpper(who) {
					t.Errorf("live, %s is told %q", who, title)
				}
			}
		}
		f.named(t, "bob")
		if _, err := f.Users.IdentifyMany(t.Context(), f.env.ID, model.Once{}, []model.IdentifyInput{{Identifier: "ada", Attributes: []byte(`{"firstName":"Augusta"}`)}}); err != nil {
			t.Fatal(err)
		}
		check("after a change", id, "ada: Hi ADA, https://example.com/ada", "bob: Hi BOB", "new: Hi", "zed: Hi")
		f.named(t, "ada")

		f.Chunk = 2
		many := greet("ada", "bob", "eve")
		many.To.Topics = []string{"news"}
		check("three and a topic", f.mustSend(t, many).Send.ID, greeted("ada", "bob", "eve", "kim")...)

		// One user who is named puts their name into nobody else's inbox.
		beside := greet("ada")
		beside.To.Topics = []string{"news"}
		check("one and a topic", f.mustSend(t, beside).Send.ID, greeted("ada", "eve", "kim")...)
		twice := greet("ada", "bob")
		twice.To.Inline = []model.IdentifyInput{{Identifier: "ada"}}
		check("one of them twice", f.mustSend(t, twice).Send.ID, greeted("ada", "bob")...)

		later := greet("ada", "eve")
		later.SendAt = f.clock.Now().Add(time.Hour)
		id = f.mustSend(t, later).Send.ID
		f.clock.Advance(time.Hour)
		f.fire(t)
		check("later", id, greeted("ada", "eve")...)

		// Where the inbox is left out, nobody's is rendered.
		mail := greet("ada", "bob")
		mail.Channels = []model.Channel{model.ChannelEmail}
		if m := f.mustSend(t, mail).Send; m.Content.Personal != 0 {
			t.Errorf("a mail has personal texts %b", m.Content.Personal)
		}
		f.noDrift(t)
	})
}

// slowly renders so many at a time.
type slowly struct {
	notify.Templates
	most int
}

func (s slowly) Personal(ctx context.Context, env model.EnvID, q model.PersonalTexts) ([]model.TemplateText, error) {
	q.Users = q.Users[:min(len(q.Users), s.most)]
	return s.Templates.Personal(ctx, env, q)
}

// TestSlowTextsAreLeftToTheExpanders renders a few recipients at a time, and has the
// process die in a chunk.
func TestSlowTextsAreLeftToTheExpanders(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		users := []string{"ada", "bob", "eve", "kim", "liz", "max"}
		f.Templates = slowly{f.greeting(t), 4}
		f.named(t, users...)
		now := f.mustSend(t, greet(users...)).Send
		later := greet(users...)
		later.SendAt = f.clock.Now().Add(time.Hour)
		due := f.mustSend(t, later).Send
		f.clock.Advance(time.Hour)
		f.fire(t)
		if now.Status != model.SendExpanding || f.mustFind(t, due.ID).Status != model.SendExpanding {
			t.Errorf("one is %s, the scheduled one %s", now.Status, f.mustFind(t, due.ID).Status)
		}
		ctx, die := context.WithCancel(t.Context())
		dying := f.another(t)
		dying.Templates = f.Templates
		dying.Store = &chunkStore{Store: f.store, after: func(model.Send) { die() }}
		if err := dying.ExpandAll(ctx); !errors.Is(err, context.Canceled) {
			t.Fatalf("it did not die: %v", err)
		}
		f.expand(t)
		for _, id := range []model.SendID{now.ID, due.ID} {
			f.served(t, id, model.SendProgress{Total: 6, Done: 6})
			if got := f.reads(t, id); !slices.Equal(got, greeted(users...)) {
				t.Errorf("users read %q", got)
			}
		}
	})
}

// TestWhatIsGoneKeepsNoText looks for names in the rows themselves.
func TestWhatIsGoneKeepsNoText(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.greeting(t)
		f.named(t, "ada", "bob")
		id := f.mustSend(t, greet("ada", "bob")).Send.ID
		kept := func() int64 {
			return f.count(t, "select count(*) from notifications where send_id = ? and personal is not null", int64(id))
		}
		before := kept()
		if _, err := f.store.RecallSend(t.Context(), f.env.ID, model.Once{}, id); err != nil {
			t.Fatal(err)
		}
		for found := true; found; {
			var err error
			if found, _, err = f.store.RecallNext(t.Context(), f.env.ID, id, 10); err != nil {
				t.Fatal(err)
			}
		}
		if before != 2 || kept() != 0 {
			t.Errorf("%d texts were kept, and %d after the recall", before, kept())
		}
	})
}
