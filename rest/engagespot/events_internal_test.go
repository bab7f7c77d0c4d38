package engagespot

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"carillon/model"
)

// TestTell is what each step of an inbox is for Engagespot's clients.
func TestTell(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	item := func(id model.NotificationID, bits string) model.Notification {
		n := model.Notification{ID: id, Content: &model.Content{}}
		for bit, at := range map[string]*time.Time{"S": &n.SeenAt, "R": &n.ReadAt, "I": &n.InteractedAt, "A": &n.ArchivedAt} {
			if strings.Contains(bits, bit) {
				*at = now
			}
		}
		if strings.Contains(bits, "r") {
			n.ReadAt = now.Add(-time.Hour)
		}
		return n
	}
	some := func(bits string) []model.Notification { return []model.Notification{item(2, bits), item(1, bits)} }
	by := func(as model.MarkState) *model.Deed { return &model.Deed{As: as} }
	all := func(as model.MarkState) *model.Deed { return &model.Deed{As: as, All: true} }
	left := model.Counters{Total: 5, Unseen: 3, Unread: 4}
	allRead := model.Counters{Total: 5}
	marked := func(as ...model.MarkState) (out []model.InboxMark) {
		for _, m := range as {
			out = append(out, model.InboxMark{As: m})
		}
		return out
	}
	for _, tt := range []struct {
		name string
		e    model.InboxEvent
		want string
	}{
		{"ASend", model.InboxEvent{Added: some(""), Counters: left, Deed: &model.Deed{}}, "NEW 1, NEW 2"},
		{"AMarkAsSeen", model.InboxEvent{Changed: some("S"), Counters: left, Deed: by(model.MarkSeen)}, "SEEN 1, SEEN 2"},
		{"APageSeen", model.InboxEvent{Changed: some("S"), Counters: left, Deed: all(model.MarkSeen)}, "SEEN 1, SEEN 2, ALL_SEEN"},
		{"AllSeen", model.InboxEvent{Marked: marked(model.MarkSeen), Counters: left, Deed: all(model.MarkSeen)}, "SEEN 0, ALL_SEEN"},
		{"AMarkAsRead", model.InboxEvent{Changed: some("SR"), Counters: left, Deed: by(model.MarkRead)}, "READ 1, READ 2"},
		{"AClick", model.InboxEvent{Changed: some("R"), Counters: left, Deed: by(model.MarkReadOnly)}, "READ 1, READ 2"},
		{"TheLastClick", model.InboxEvent{Changed: some("R"), Counters: allRead, Deed: by(model.MarkReadOnly)}, "READ 1, READ 2"},
		{"AllRead", model.InboxEvent{Marked: marked(model.MarkRead), Counters: allRead, Deed: all(model.MarkRead)}, "ALL_READ"},
		{"AllReadButWhatCameAfter", model.InboxEvent{Marked: marked(model.MarkRead), Changed: some(""), Counters: left, Deed: all(model.MarkRead)}, ""},
		{"AllReadOneByOne", model.InboxEvent{Changed: some("R"), Counters: allRead, Deed: all(model.MarkReadOnly)}, "ALL_READ"},
		{"Unread", model.InboxEvent{Changed: some("S"), Counters: left, Deed: by(model.MarkUnread)}, ""},
		{"Unseen", model.InboxEvent{Changed: some(""), Counters: left, Deed: by(model.MarkUnseenOnly)}, ""},
		{"AState", model.InboxEvent{Changed: some("I"), Counters: left, Deed: by(model.MarkInteracted)}, "INTERACTED 1, INTERACTED 2"},
		{"AStateOfWhatWasRead", model.InboxEvent{Changed: some("rI"), Counters: left, Deed: by(model.MarkInteracted)}, "INTERACTED 1, INTERACTED 2"},
		{"Interacted", model.InboxEvent{Changed: some("SRI"), Counters: left, Deed: by(model.MarkInteracted)}, "READ 1, INTERACTED 1, READ 2, INTERACTED 2"},
		{"Archived", model.InboxEvent{Changed: some("A"), Counters: left, Deed: by(model.MarkArchived)}, "DELETED 1, DELETED 2"},
		{"AllArchived", model.InboxEvent{Changed: some("A"), Deed: all(model.MarkArchived)}, "ALL_DELETED"},
		{"BackUnseen", model.InboxEvent{Changed: some(""), Counters: left, Deed: by(model.MarkUnarchived)}, "NEW 1, NEW 2"},
		{"BackRead", model.InboxEvent{Changed: some("R"), Counters: left, Deed: by(model.MarkUnarchived)}, "NEW 1, SEEN 1, NEW 2, SEEN 2"},
		{"Edited", model.InboxEvent{Changed: append(some("SR"), item(9, "A")), Counters: left, Deed: &model.Deed{}}, "INTERACTED 1, INTERACTED 2"},
		{"Deleted", model.InboxEvent{Removed: []model.NotificationID{7, 8}, Counters: left, Deed: &model.Deed{}}, "DELETED 7, DELETED 8"},
		{"TheLastDeleted", model.InboxEvent{Removed: []model.NotificationID{7}, Deed: &model.Deed{}}, "DELETED 7"},
		{"AllDeleted", model.InboxEvent{Removed: []model.NotificationID{7, 8}, Deed: &model.Deed{All: true}}, "ALL_DELETED"},

		{"ReadFromTheDatabase", model.InboxEvent{
			Counters: left, Added: []model.Notification{item(9, "")}, Removed: []model.NotificationID{3},
			Changed: []model.Notification{item(5, "A"), item(4, "SRI"), item(2, "S"), item(1, "R")},
		}, "READ 1, SEEN 2, READ 4, INTERACTED 4, DELETED 5, DELETED 3, NEW 9"},
		{"EmptyByTheDatabase", model.InboxEvent{Removed: []model.NotificationID{3, 4}}, "ALL_DELETED"},
		{"MarkedByTheDatabase", model.InboxEvent{Marked: marked(model.MarkSeen, model.MarkRead), Added: some(""), Counters: model.Counters{Total: 5, Unread: 2, Unseen: 2}}, "SEEN 0, ALL_SEEN, ALL_READ, NEW 1, NEW 2"},
		{"WithAnArchivedOneAdded", model.InboxEvent{Added: some("A"), Counters: left}, ""},

		{"ResetAndEmpty", model.InboxEvent{Reset: model.ResetTooFarBehind}, "ALL_DELETED"},
		{"ResetAndAllRead", model.InboxEvent{Reset: model.ResetTooFarBehind, Counters: allRead}, "ALL_READ"},
		{"ResetAndAllSeen", model.InboxEvent{Reset: model.ResetTooFarBehind, Counters: model.Counters{Total: 5, Unread: 2}}, "SEEN 0, ALL_SEEN"},
		{"Reset", model.InboxEvent{Reset: model.ResetTooFarBehind, Counters: left}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if text := brief(tell(&tt.e, &memory{})); text != tt.want {
				t.Errorf("told %q, want %q", text, tt.want)
			}
		})
	}
}

// brief writes events for comparison.
func brief(events []told) string {
	var got []string
	for _, e := range events {
		switch short := map[string]string{eventAllSeen: "ALL_SEEN", eventAllRead: "ALL_READ", eventAllDeleted: "ALL_DELETED"}[e.name]; {
		case short != "":
			got = append(got, short)
		case e.name == eventNew:
			got = append(got, fmt.Sprint("NEW ", e.item.ID))
		case e.name == eventInteracted:
			got = append(got, fmt.Sprint("INTERACTED ", e.item.ID))
		default:
			got = append(got, fmt.Sprint(strings.TrimPrefix(e.name, "NOTIFICATION_"), " ", e.id))
		}
	}
	return strings.Join(got, ", ")
}

// TestTellWhatIsNews reads one step after the other from the database: each
// tells what differs from those before it.
func TestTellWhatIsNews(t *testing.T) {
	t.Parallel()
	at := func(minute int) time.Time { return time.Date(2026, 1, 2, 3, minute, 0, 0, time.UTC) }
	item := func(change func(*model.Notification)) []model.Notification {
		n := model.Notification{ID: 1, Content: &model.Content{}}
		change(&n)
		return []model.Notification{n}
	}
	unseen := model.Counters{Total: 3, Unseen: 2, Unread: 3}
	none := model.Counters{Total: 3, Unread: 3}
	pressed := func(n *model.Notification) { n.State, n.InteractedAt = "accepted", at(1) }
	seen := func(n *model.Notification) { pressed(n); n.SeenAt = at(2) }
	read := func(n *model.Notification) { seen(n); n.ReadAt = at(3) }
	away := func(n *model.Notification) { read(n); n.ArchivedAt = at(4) }
	edited := func(n *model.Notification) { read(n); n.State, n.Content.Edition = "rejected", 1 }
	var before memory
	for _, step := range []struct {
		name string
		e    model.InboxEvent
		want string
	}{
		{"Sent", model.InboxEvent{Added: item(func(*model.Notification) {}), Counters: unseen, Deed: &model.Deed{}}, "NEW 1"},
		{"Pressed", model.InboxEvent{Changed: item(pressed), Counters: unseen}, "INTERACTED 1"},
		{"SeenAsTheLast", model.InboxEvent{Changed: item(seen), Counters: none}, "SEEN 1, ALL_SEEN"},
		{"Read", model.InboxEvent{Changed: item(read), Counters: none}, "READ 1"},
		{"Unread", model.InboxEvent{Changed: item(seen), Counters: none}, ""},
		{"ReadAgain", model.InboxEvent{Changed: item(read), Counters: none}, "READ 1"},
		{"PutAway", model.InboxEvent{Changed: item(away), Counters: none}, "DELETED 1"},
		{"PutAwayAsBefore", model.InboxEvent{Changed: item(away), Counters: none}, ""},
		{"Back", model.InboxEvent{Changed: item(read), Counters: none}, "NEW 1, SEEN 1"},
		{"AnotherState", model.InboxEvent{Changed: item(func(n *model.Notification) { read(n); n.State = "rejected" }), Counters: none}, "INTERACTED 1"},
		{"Edited", model.InboxEvent{Changed: item(edited), Counters: none}, "INTERACTED 1"},
		{"EditedAsBefore", model.InboxEvent{Changed: item(edited), Counters: none}, ""},
		{"AllMarked", model.InboxEvent{Marked: []model.InboxMark{{As: model.MarkSeen}}, Counters: none, Deed: &model.Deed{As: model.MarkSeen, All: true}}, "SEEN 0, ALL_SEEN"},
		{"NothingIsRememberedAfterThat", model.InboxEvent{Changed: item(read), Counters: none}, "READ 1, INTERACTED 1"},
	} {
		if got := brief(tell(&step.e, &before)); got != step.want {
			t.Errorf("%s: told %q, want %q", step.name, got, step.want)
		}
		before.note(&step.e)
	}
	many := model.InboxEvent{Counters: unseen}
	for id := range 3 * maxRemembered {
		many.Changed = append(many.Changed, model.Notification{ID: model.NotificationID(id)})
	}
	if before.note(&many); len(before.items) > maxRemembered {
		t.Errorf("%d items are remembered, over %d", len(before.items), maxRemembered)
	}
}
