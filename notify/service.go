package notify

import (
	"context"
	"log/slog"
	"time"

	"carillon/internal/id"
	"carillon/live"
	"carillon/model"
)

// Store is what sends need from the database; *store.Store has it.
type Store interface {
	NewIDs(ctx context.Context, n int) ([]int64, error)
	Environment(ctx context.Context, env model.EnvID) (model.Environment, error)
	Recipients(ctx context.Context, q model.RecipientQuery) ([]model.Recipient, error)
	UsersByID(ctx context.Context, env model.EnvID, ids []model.UserID) ([]model.User, error)
	Addresses(ctx context.Context, users []model.UserRef) (map[model.UserRef][]model.Address, error)
	Suppressed(ctx context.Context, addresses []model.ChannelAddress) (map[model.ChannelAddress]bool, error)
	SendOptions(ctx context.Context, env model.EnvID, ids []model.SendID) (map[model.SendID]model.SendOptions, error)
	SendReplays(ctx context.Context, keys []model.ScopedOnce) ([]model.SendReplay, error)
	SaveSends(ctx context.Context, sends []model.PendingSend) ([]model.SavedSend, []*model.InboxChange, error)
	DueSends(ctx context.Context, now time.Time, after *model.PageKey, limit int) (due []model.DueSend, next time.Time, err error)
	NextExpansion(ctx context.Context, after model.EnvID, except []model.SendID) (model.Expansion, bool, error)
	SaveChunk(ctx context.Context, c model.Chunk) (saved bool, changes []*model.InboxChange, err error)
	TopicIDs(ctx context.Context, env model.EnvID, identifiers []string) (map[string]model.TopicID, error)
	Audience(ctx context.Context, q model.AudienceQuery) (model.AudiencePart, error)
	NewestUserAt(ctx context.Context, env model.EnvID) (time.Time, error)
	AudienceSize(ctx context.Context, q model.AudienceQuery) (int64, error)
	CancelSend(ctx context.Context, env model.EnvID, once model.Once, id model.SendID) (model.Outcome[model.Send], error)
	Send(ctx context.Context, env model.EnvID, id model.SendID) (model.Send, error)
	Sends(ctx context.Context, env model.EnvID, ids []model.SendID) (map[model.SendID]model.Send, error)
	Attachments(ctx context.Context, env model.EnvID, send model.SendID) ([]model.Attachment, error)
	Skipped(ctx context.Context, env model.EnvID, sends []model.SendID) (map[model.SendID][]model.Skipped, error)
	ListSends(ctx context.Context, env model.EnvID, f model.SendFilter, page model.PageRequest) (model.Page[model.Send], error)
	ListScheduledSends(ctx context.Context, env model.EnvID, page model.PageRequest) (model.Page[model.Send], error)
}

// Users creates and updates users; *user.Service has it.
type Users interface {
	CheckIdentify(in model.IdentifyInput) []model.Problem
	IdentifyMany(ctx context.Context, env model.EnvID, once model.Once, users []model.IdentifyInput) (model.Outcome[[]model.IdentifyResult], error)
}

// Catalog knows the categories; *catalog.Service has it. A category that does
// not exist is a KindNotFound error.
type Catalog interface {
	Find(ctx context.Context, env model.EnvID, identifier string) (model.Category, error)
	Ensure(ctx context.Context, env model.EnvID, identifier string) (model.Category, error)
	CategoriesByID(ctx context.Context, env model.EnvID, ids []model.CategoryID) (map[model.CategoryID]model.Category, error)
}

// Templates says what a send says that names one; *catalog.Templates has it. The
// request that it returns has the content for the inbox, and a note of the version.
type Templates interface {
	Apply(ctx context.Context, env model.EnvID, req model.SendRequest) (model.SendRequest, error)
	// Personal is what a send with Personal texts says to each of some users, or to
	// the first of them when it would take too long for all.
	Personal(ctx context.Context, env model.EnvID, q model.PersonalTexts) ([]model.TemplateText, error)
}

// Hub carries hints to the streams; *live.Hub has it.
type Hub interface {
	Publish(ctx context.Context, hints ...model.Hint)
	Watch(key model.LiveKey, w live.Watcher) (cancel func())
}

// Segments is what sends ask of segments; *audience.Segments has it.
type Segments interface {
	// IDs finds segments by identifier; those that do not exist are absent.
	IDs(ctx context.Context, env model.EnvID, identifiers []string) (map[string]model.SegmentID, error)
	// Settle has the members of segments be as users are now.
	Settle(ctx context.Context, env model.EnvID, ids []model.SegmentID) error
}

// Service takes sends. Fill in the exported fields before the first call; the
// methods may then be called concurrently.
type Service struct {
	Store   Store
	Users   Users
	Catalog Catalog
	Live    Hub
	// Templates are those that sends may name; nil: there are none.
	Templates Templates
	// Segments are those that sends may go to; nil: there are none.
	Segments Segments
	// Deliver is told when deliveries have been saved, after the commit; may be
	// nil.
	Deliver func()
	Log     *slog.Logger     // nil: slog's default
	Now     func() time.Time // nil: time.Now
	// MaxQueue is how many sends may wait for their transaction; beyond it
	// sends are refused for a moment. Zero: DefaultQueue.
	MaxQueue int
	// Patience is how long a transaction may take before the sends behind it
	// stop waiting for it and get another one beside it. One after the other is
	// best as long as each is quick: the next one gathers more meanwhile, and
	// hints of one inbox keep their order. Zero: DefaultPatience.
	Patience time.Duration
	// KeyPatience is how long a send waits for another one with the same
	// idempotency key. Zero: DefaultKeyPatience.
	KeyPatience time.Duration
	// Chunk is how many recipients of a large send one transaction serves.
	// Zero: DefaultChunk.
	Chunk int
	// Expanders is how many large sends Run works on at the same time. Zero:
	// DefaultExpanders.
	Expanders int

	requestIDs id.Source
	committer  committer
	soon       bell // a scheduled send is due before Run would look
	large      bell // there is a large send to expand
	expanding  underWay
}

// What a zero setting means.
const (
	DefaultQueue       = 1024
	DefaultPatience    = 100 * time.Millisecond
	DefaultKeyPatience = 5 * time.Second
	DefaultChunk       = 4000
	DefaultExpanders   = 1
)

func (s *Service) now() time.Time {
	now := s.Now
	if now == nil {
		now = time.Now
	}
	return now().UTC().Truncate(time.Microsecond)
}

func (s *Service) wakeDelivery() {
	if s.Deliver != nil {
		s.Deliver()
	}
}

func (s *Service) log() *slog.Logger {
	if s.Log == nil {
		return slog.Default()
	}
	return s.Log
}

// Find reads a send. An id that names none is a KindNotFound error.
func (s *Service) Find(ctx context.Context, env model.EnvID, id model.SendID) (model.Send, error) {
	return s.Store.Send(ctx, env, id)
}

// ByIDs reads sends; ids that name none are left out.
func (s *Service) ByIDs(ctx context.Context, env model.EnvID, ids []model.SendID) (map[model.SendID]model.Send, error) {
	return s.Store.Sends(ctx, env, ids)
}

// Attachments reads the files that go with a send.
func (s *Service) Attachments(ctx context.Context, env model.EnvID, send model.SendID) ([]model.Attachment, error) {
	return s.Store.Attachments(ctx, env, send)
}

// Skipped reads whom sends left out of those they named one by one, and why.
func (s *Service) Skipped(ctx context.Context, env model.EnvID, sends []model.SendID) (map[model.SendID][]model.Skipped, error) {
	return s.Store.Skipped(ctx, env, sends)
}

// List reads a page of the sends of an environment, newest first. The time of
// its page keys is CreatedAt.
func (s *Service) List(ctx context.Context, env model.EnvID, f model.SendFilter, page model.PageRequest) (model.Page[model.Send], error) {
	return s.Store.ListSends(ctx, env, f, page)
}

// Scheduled reads a page of the sends that wait for their time, next first.
// The time of its page keys is SendAt.
func (s *Service) Scheduled(ctx context.Context, env model.EnvID, page model.PageRequest) (model.Page[model.Send], error) {
	return s.Store.ListScheduledSends(ctx, env, page)
}
