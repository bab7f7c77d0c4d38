package engagespot_test

import (
	"context"
	"fmt"
	"regexp"
	"testing"
	"time"

	"carillon/live"
	"carillon/model"
)

// deaf is a hub that nobody publishes to, as after a link that was cut: what
// changed is found in the database.
type deaf struct{ *live.Hub }

func (deaf) Publish(context.Context, ...model.Hint) {}

// TestLiveEventsFoundInTheDatabase tells each change once, though the database
// does not know what was done.
func TestLiveEventsFoundInTheDatabase(t *testing.T) {
	each(t, func(w *world) {
		hub := deaf{live.NewHub(live.Config{Heads: w.store, Heal: 10 * time.Millisecond})}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); hub.Run(ctx) }()
		w.t.Cleanup(func() { stop(); <-ended })
		w.inbox.Live, w.sends.Live = hub, hub
		l := withLive(w)
		l.user(l.shop, "ada")
		phone := l.socket(l.shop, "ada")
		phone.t = w.t
		hears := func(name, body string) { w.t.Helper(); phone.hears(`^42\["` + name + `",` + body + `\]$`) }
		user := func(method, path string, body any) {
			w.t.Helper()
			l.ok(200, method, "/v3/notifications"+path, body, as(l.shop, "ada")...)
		}

		id := fmt.Sprint(l.notify(l.shop, "ada", "Hello"))
		hears("NEW_NOTIFICATION", `.*"title":"Hello".*`)
		ref := regexp.QuoteMeta(`"id":` + id + `,"notification":{"id":` + id + `}`)
		user("PUT", "/"+id+"/state", map[string]string{"state": "accepted"})
		hears("NOTIFICATION_INTERACTED", `.*"state":"accepted".*`)
		user("POST", "/markAllNotificationsAsSeen?page=1&limit=15", nil)
		hears("NOTIFICATION_SEEN", `\{`+ref+`,"unreadNotificationCount":0\}`)
		hears("NOTIFICATION_UNREAD_COUNT", `\{"unreadNotificationCount":0\}`)
		user("POST", "/"+id+"/click", nil)
		hears("NOTIFICATION_READ", `\{`+ref+`\}`)
		user("PUT", "/"+id+"/state", map[string]string{"state": "rejected"})
		hears("NOTIFICATION_INTERACTED", `.*"state":"rejected".*`)
		user("POST", "/markAllNotificationsAsDeleted", nil)
		hears("ALL_NOTIFICATION_DELETED", `\{\}`)
	})
}
