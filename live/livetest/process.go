package livetest

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"carillon/live"
	"carillon/model"
)

// process is a hub as one process has it.
type process struct {
	hub *live.Hub
	db  *Database
}

// join starts a process on the medium. It heals when the bus asks for it, and
// otherwise only in the given interval.
func join(t *testing.T, m Medium, heal time.Duration) *process {
	t.Helper()
	p := &process{db: new(Database)}
	p.hub = live.NewHub(live.Config{Bus: m.Bus(t), Heads: p.db, Heal: heal, Log: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { p.hub.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	Eventually(t, "a healthy bus", p.hub.Healthy)
	return p
}

const never = time.Hour

func (p *process) watch(t *testing.T, key model.LiveKey) *Recorder {
	t.Helper()
	r := new(Recorder)
	t.Cleanup(p.hub.Watch(key, r))
	return r
}

func (p *process) publish(hints ...model.Hint) { p.hub.Publish(context.Background(), hints...) }

// beacon is the seq of hints that only find out whether a way is open.
const beacon = -1

// reach publishes beacons until the recorder, of whichever process, hears the
// key: a subscription is made soon, not at once.
func (p *process) reach(t *testing.T, key model.LiveKey, r *Recorder) {
	t.Helper()
	p.reachAll(t, map[model.LiveKey]*Recorder{key: r})
}

func (p *process) reachAll(t *testing.T, recorders map[model.LiveKey]*Recorder) {
	t.Helper()
	deaf := maps.Clone(recorders)
	Eventually(t, "the first hints", func() bool {
		var hints []model.Hint
		for key := range deaf {
			hints = append(hints, model.Hint{Key: key, Seq: beacon})
		}
		p.publish(hints...)
		maps.DeleteFunc(deaf, func(_ model.LiveKey, r *Recorder) bool { return len(r.Hints()) > 0 })
		return len(deaf) == 0
	})
	// Thousands of beacons may wait still, and take the room of what comes next.
	Eventually(t, "the beacons to leave", func() bool {
		s := p.hub.Stats()
		return s.Sent+s.Dropped == s.Published
	})
}

// told returns what was offered but for beacons and what healing says of a key
// that was not yet known.
func told(r *Recorder) []model.Hint {
	return slices.DeleteFunc(r.Hints(), func(h model.Hint) bool { return h.Seq <= 0 })
}

func toldSeqs(r *Recorder) []int64 {
	var seqs []int64
	for _, h := range told(r) {
		seqs = append(seqs, h.Seq)
	}
	return seqs
}

// Change is a step of an inbox with something in every field; all of it hangs
// on the content.
func Change(env model.EnvID, user model.UserID, seq int64, c *model.Content) *model.InboxChange {
	at := time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC)
	n := model.Notification{
		ID: 7_000_001, EnvID: env, UserID: user, SendID: 7_000_002, CategoryID: 12, Content: c, InInbox: true,
		State: "open", Reason: model.ReasonEnvDefault, SortAt: at, CreatedAt: at, Seq: seq,
	}
	read := n
	read.ID, read.SeenAt, read.ReadAt = n.ID-1, at.Add(time.Microsecond), at.Add(time.Hour)
	return &model.InboxChange{
		Env: env, User: user, Seq: seq, Counters: model.Counters{Total: 3, Unseen: 2, Unread: 1},
		Added: []model.Notification{n}, Changed: []model.Notification{read}, Removed: []model.NotificationID{5, 4},
		Marked: []model.InboxMark{{As: model.MarkRead, UpTo: seq - 1, At: at}},
		Deed:   model.Deed{As: model.MarkRead, All: true},
	}
}

func greeting() *model.Content {
	return &model.Content{
		Title: "Hällo", Body: "a\x00b", URL: "https://example.com/?a=b", Data: []byte(`{"a":[1,2,{"b":null}]}`),
		Blocks: []model.Block{{ID: "b1", Type: "BUTTON", Text: "Go", Link: "https://example.com", ExternalLink: true}},
	}
}
