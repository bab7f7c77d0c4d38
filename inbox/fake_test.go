package inbox_test

import (
	"context"
	"sync"
	"time"

	"carillon/inbox"
	"carillon/model"
)

// fakeStore is an inbox in which every change adds one notification, whose id
// is the change's seq. What a test does not need of a store panics.
type fakeStore struct {
	inbox.Store

	mu      sync.Mutex
	head    int64
	reads   int
	fail    error
	tooMany bool
	during  func() // called while a read is on its way back
}

const (
	theEnv   model.EnvID  = 1
	theUser  model.UserID = 2
	theEpoch              = 7
)

func (f *fakeStore) Epoch() uint64 { return theEpoch }

// change adds one and returns the hint to publish.
func (f *fakeStore) change() model.Hint {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.head++
	c := &model.InboxChange{Env: theEnv, User: theUser, Seq: f.head, Counters: countersAt(f.head), Added: []model.Notification{numbered(f.head)}}
	return c.Hint()
}

func numbered(seq int64) model.Notification {
	return model.Notification{ID: model.NotificationID(seq), EnvID: theEnv, UserID: theUser, CategoryID: model.CategoryID(seq % 2), Content: &model.Content{}, SortAt: time.Unix(seq, 0), Seq: seq}
}

func countersAt(seq int64) model.Counters {
	return model.Counters{Total: seq, Unseen: seq, Unread: seq}
}

// begin is what every read begins with; the returned function ends it.
func (f *fakeStore) begin() (head int64, end func(), err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reads++
	during := f.during
	f.during = nil
	return f.head, func() {
		if during != nil {
			during()
		}
	}, f.fail
}

func (f *fakeStore) Inbox(_ context.Context, _ model.EnvID, _ model.UserID, _ model.InboxFilter, page model.PageRequest) (model.Inbox, error) {
	head, end, err := f.begin()
	defer end()
	out := model.Inbox{Seq: head, Counters: countersAt(head)}
	for seq := head; seq > 0 && len(out.Items) < page.Limit; seq-- {
		out.Items = append(out.Items, numbered(seq))
	}
	return out, err
}

func (f *fakeStore) Changes(_ context.Context, _ model.EnvID, _ model.UserID, after int64) (model.Changes, error) {
	head, end, err := f.begin()
	defer end()
	out := model.Changes{Head: head, Counters: countersAt(head), TooMany: f.tooMany}
	for seq := head; seq > after && !f.tooMany; seq-- {
		out.Added = append(out.Added, numbered(seq))
	}
	return out, err
}

func (f *fakeStore) InboxCounters(context.Context, model.EnvID, model.UserID) (model.Counters, int64, error) {
	head, end, err := f.begin()
	defer end()
	return countersAt(head), head, err
}
