package delivery

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"carillon/internal/id"
	"carillon/internal/seal"
	"carillon/model"
)

// Queue is the deliveries table as the worker sees it; *store.Store has it.
type Queue interface {
	DueLanes(ctx context.Context) ([]model.DueLane, error)
	ClaimDeliveries(ctx context.Context, claims []model.LaneClaim, lease time.Duration) ([]model.ClaimedDelivery, error)
	MarkSuspect(ctx context.Context, env model.EnvID, id model.DeliveryID, fence int64) (marked bool, err error)
	FinishDeliveries(ctx context.Context, done []model.FinishedDelivery) (counted map[model.Claim]bool, err error)
	ExpireDeliveries(ctx context.Context, limit int) (int, error)
	ReserveRate(ctx context.Context, ref model.ProviderRef, n int) (wait time.Duration, err error)
	PauseProvider(ctx context.Context, ref model.ProviderRef, trouble string) (paused bool, err error)

	Environment(ctx context.Context, env model.EnvID) (model.Environment, error)
	Providers(ctx context.Context, envs ...model.EnvID) ([]model.Provider, error)
	Categories(ctx context.Context, env model.EnvID) ([]model.Category, error)
	Notifications(ctx context.Context, env model.EnvID, ids []model.NotificationID) ([]model.Notification, error)
	Sends(ctx context.Context, env model.EnvID, ids []model.SendID) (map[model.SendID]model.Send, error)
	Attachments(ctx context.Context, env model.EnvID, send model.SendID) ([]model.Attachment, error)
	SendOptions(ctx context.Context, env model.EnvID, ids []model.SendID) (map[model.SendID]model.SendOptions, error)
	UsersByID(ctx context.Context, env model.EnvID, ids []model.UserID) ([]model.User, error)
	Recipients(ctx context.Context, q model.RecipientQuery) ([]model.Recipient, error)
	Addresses(ctx context.Context, users []model.UserRef) (map[model.UserRef][]model.Address, error)
	Suppressed(ctx context.Context, addresses []model.ChannelAddress) (map[model.ChannelAddress]bool, error)
}

// Records is what is kept about deliveries and providers, as applications see
// it; *store.Store has it.
type Records interface {
	Provider(ctx context.Context, env model.EnvID, id model.ProviderID) (model.Provider, error)
	CreateProvider(ctx context.Context, once model.Once, p model.Provider) (model.Outcome[model.Provider], error)
	UpdateProvider(ctx context.Context, env model.EnvID, once model.Once, id model.ProviderID, change func(model.Provider) (model.Provider, error)) (model.Outcome[model.Provider], error)
	DeleteProvider(ctx context.Context, env model.EnvID, once model.Once, id model.ProviderID) (model.Outcome[model.ProviderID], error)
	OrderProviders(ctx context.Context, env model.EnvID, once model.Once, channel model.Channel, ids []model.ProviderID) (model.Outcome[[]model.ProviderID], error)

	TestOnce(ctx context.Context, env model.EnvID, once model.Once, test func() (model.ProviderTest, error)) (model.Outcome[model.ProviderTest], error)

	Delivery(ctx context.Context, env model.EnvID, id model.DeliveryID) (model.Delivery, error)
	DeliveriesOf(ctx context.Context, env model.EnvID, ids []model.NotificationID) ([]model.Delivery, error)
	ListDeliveries(ctx context.Context, env model.EnvID, f model.DeliveryFilter, page model.PageRequest) (model.Page[model.Delivery], error)
	DeliveryMarks(ctx context.Context, env model.EnvID, f model.DeliveryFilter, after model.DeliveryMark, limit int) ([]model.DeliveryMark, error)
	MarkedDeliveries(ctx context.Context, env model.EnvID, f model.DeliveryFilter, ids []model.DeliveryID) ([]model.Delivery, error)
	Attempts(ctx context.Context, env model.EnvID, ids []model.DeliveryID) (map[model.DeliveryID][]model.Attempt, error)
	RetryDelivery(ctx context.Context, env model.EnvID, once model.Once, id model.DeliveryID) (model.Outcome[model.Delivery], error)
	RetryDeliveries(ctx context.Context, env model.EnvID, once model.Once, f model.DeliveryFilter) (model.Outcome[int], error)

	Suppress(ctx context.Context, once model.Once, m model.Suppression) (model.Outcome[model.Suppression], error)
	Unsuppress(ctx context.Context, env model.EnvID, once model.Once, id model.SuppressionID) (model.Outcome[model.Suppression], error)
	ApplyReports(ctx context.Context, by model.ProviderRef, reports []model.Report) (model.Reported, error)
	SetPreferences(ctx context.Context, env model.EnvID, once model.Once, user model.UserID,
		plan func([]model.Category) ([]model.ChoiceChange, error), show func([]model.Category, []model.Choice) []model.CategoryPreference,
	) (model.Outcome[[]model.CategoryPreference], error)
	ListSuppressions(ctx context.Context, env model.EnvID, f model.SuppressionFilter, page model.PageRequest) (model.Page[model.Suppression], error)
}

// Store is all that deliveries need from the database.
type Store interface {
	Queue
	Records
}

// Renderer says what a message says, from the templates of an environment. It
// changes the message that was made of the send's own content. An error ends
// the delivery: what it says is shown to the application.
type Renderer interface {
	Render(ctx context.Context, m *Message, about Subject) error
}

// Subject is what a message is about.
type Subject struct {
	Env          model.Environment
	Send         model.Send
	Notification model.Notification
	User         model.User
	Category     *model.Category // nil: none
	Options      model.SendOptions
}

// Service sends, and answers for what was sent. Fill in the exported fields
// before the first call; the methods may then be called concurrently.
type Service struct {
	Store Store
	Kinds Kinds
	Box   *seal.Box
	// Outside is how senders reach the world; its log and clock are filled in.
	Outside Outside
	// PublicURL is where this server is reached from outside, without a slash at
	// its end; empty: not known, so nobody is told where to report to and mail
	// cannot be unsubscribed from.
	PublicURL string
	// Live is where changes of deliveries are published and watched; nil: nobody
	// hears of them, and there are no streams.
	Live Hub
	// Changed is told of environments whose providers have changed, after the
	// commit; may be nil.
	Changed func(env model.EnvID)
	// Render changes what a message says; nil: it says what its send says.
	Render Renderer
	Log    *slog.Logger     // nil: slog's default
	Now    func() time.Time // nil: time.Now
	Random func() float64   // in [0, 1); nil: math/rand

	// Concurrency is how many deliveries this process works on at the same time,
	// apart from a few that each lane has of its own; zero: DefaultWorkers.
	Concurrency int
	// Lease is how long a claimed delivery belongs to the process that claimed
	// it, 2 s at least; zero: DefaultLease. A process that dies loses what it had
	// after that time. An attempt ends within three quarters of it.
	Lease time.Duration
	// Tick is how often to look for what is due without being told; zero:
	// DefaultTick.
	Tick time.Duration

	ids    id.Source
	worker worker
	stats  stats
}

// What a zero setting means.
const (
	DefaultWorkers = 256
	DefaultLease   = time.Minute
	DefaultTick    = 500 * time.Millisecond
)

func (s *Service) now() time.Time {
	now := s.Now
	if now == nil {
		now = time.Now
	}
	return now().UTC().Truncate(time.Microsecond)
}

func (s *Service) log() *slog.Logger {
	if s.Log == nil {
		return slog.Default()
	}
	return s.Log
}

func (s *Service) random() float64 {
	if s.Random == nil {
		return rand.Float64()
	}
	return s.Random()
}

func orDefault[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// outside is how a sender reaches the world.
func (s *Service) outside() Outside {
	out := s.Outside
	out.Log, out.Now = s.log(), s.now
	return out
}

// sender makes a sender of a provider's account.
func (s *Service) sender(p model.Provider) (Sender, error) {
	k := s.Kinds.Find(p.Kind)
	if k == nil {
		return nil, model.Errorf(model.KindInvalid, "this server has no providers of the kind %q", p.Kind)
	}
	secrets, err := s.Box.Open(p.Sealed, providerContext(p.EnvID, p.ID))
	if err != nil {
		return nil, model.Errorf(model.KindInvalid, "the provider's secrets cannot be opened: set them again")
	}
	return k.New(Account{
		Provider: p.ID, Env: p.EnvID, Channel: p.Channel, Config: p.Config, Secrets: secrets,
		Callback: s.CallbackURL(model.ProviderRef{Env: p.EnvID, ID: p.ID}),
	}, s.outside())
}
