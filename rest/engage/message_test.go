package engage_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"carillon/inbox"
	"carillon/live/livetest"
	"carillon/model"
)

// messagesArrive sends messages and looks at what the providers are given, at
// the user's counts, and at who the users are that they are recorded with.
func messagesArrive(t *testing.T, w *world) {
	w.deliver(t)
	w.play([]step{
		{as: key, request: "POST /v1/users", body: `{"id":"ada","first_name":"Ada","email":"ada@example.com","number":"2348012345678"}`, status: 201},
		{as: both, request: "POST /v1/send/email", body: `{"from":{"email":"shop@example.com"},"to":"ada@example.com","cc":["boss@example.com"],"subject":"Hello","html":"<p>Hi</p>"}`, status: 200},
		{as: both, request: "POST /v1/send/email", body: `{"to":["ada@example.com"],"reply_to":"help@example.com","template":"receipt","subject":"Yours","template_variables":{"number":17}}`, status: 200},
		{as: both, request: "POST /v1/send/sms", body: `{"to":"2348012345678","body":"First\nsecond","source":"twilio","from":"Shop"}`, status: 200},
		{as: both, request: "POST /v1/send/sms", body: `{"to":"+15550100009","body":"Only"}`, status: 200},
	})
	want := []string{
		`EMAIL ada@example.com "Hello" "" "<p>Hi</p>" shop@example.com`, `EMAIL ada@example.com "Yours" "of Ada" "" help@example.com`,
		`EMAIL boss@example.com "Hello" "" "<p>Hi</p>" shop@example.com`,
		`SMS +15550100009 "Only" "" "" `, `SMS +2348012345678 "First" "second" "" `,
	}
	var got []string
	livetest.Eventually(t, "all messages", func() bool {
		w.clock.pass(time.Second)
		got = nil
		for _, s := range w.recorder.Taken() {
			m := s.Message
			if !w.providers[s.Provider] {
				continue
			}
			got = append(got, fmt.Sprintf("%s %s %q %q %q %s", m.Channel, m.To.Address, m.Title, m.Text, m.HTML, m.Headers["Reply-To"]))
		}
		slices.Sort(got)
		return len(got) >= len(want)
	})
	if !slices.Equal(got, want) {
		t.Errorf("arrived\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	livetest.Eventually(t, "counts", func() bool {
		_, body := w.do(both, "GET /v1/users/ada", "")
		return strings.Contains(body, `"stats":{"delivered":3,"failed":0,"opened":0,`)
	})
	w.play([]step{{as: both, request: "GET /v1/users?email=boss@example.com", status: 200, want: `{"data":[{"uid_updateable":true,"email":"boss@example.com"}]}`}})
	if status, body := w.do(other, "GET /v1/users", ""); status != 200 || !strings.Contains(body, `"data":[]`) {
		t.Errorf("the other environment has %d %s", status, body)
	}
}

// statsCountTheInbox reads and presses what a user was sent.
func statsCountTheInbox(t *testing.T, w *world) {
	w.play([]step{{as: key, request: "POST /v1/users", body: `{"id":"ada"}`, status: 201}})
	env, err := w.store.Environment(t.Context(), w.envs["shop"])
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := w.sends.Send(t.Context(), env, model.SendRequest{To: model.SendTarget{Users: []string{"ada"}}, Content: model.Content{Title: "x"}}); err != nil {
			t.Fatal(err)
		}
	}
	w.counts(`{"stats":{"delivered":3,"failed":0,"opened":0,"clicked":0},"last_interaction":null}`)
	u, err := w.users.Find(t.Context(), env.ID, "ada")
	if err != nil {
		t.Fatal(err)
	}
	inboxes := &inbox.Service{Store: w.store, Live: w.hub}
	page, err := w.store.Inbox(t.Context(), env.ID, u.ID, model.InboxFilter{}, model.PageRequest{Limit: 3})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := inboxes.Mark(t.Context(), env.ID, model.Once{}, u.ID, []model.NotificationID{page.Items[0].ID}, model.MarkInteracted); err != nil {
		t.Fatal(err)
	}
	pressed := w.clock.Now().Format("2006-01-02T15:04:05.000-07:00")
	w.counts(strings.Replace(`{"stats":{"delivered":3,"opened":1,"clicked":1,"unique_opens":1,"unique_clicks":1},"last_interaction":"TIME"}`, "TIME", strings.Replace(pressed, "Z", "+00:00", 1), 1))
}

func (w *world) counts(want string) {
	w.t.Helper()
	w.play([]step{{as: both, request: "GET /v1/users/ada", status: 200, want: want}})
}
