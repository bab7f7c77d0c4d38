package graph

import (
	"context"
	"time"

	"carillon/app"
	"carillon/delivery"
	"carillon/inbox"
	"carillon/model"
	"carillon/notify"
	"carillon/user"
)

// Users is what the surface asks of users; *user.Service has it.
type Users interface {
	Find(ctx context.Context, env model.EnvID, identifier string) (model.User, error)
	ByIDs(ctx context.Context, env model.EnvID, ids []model.UserID) (map[model.UserID]model.User, error)
	List(ctx context.Context, env model.EnvID, f model.UserFilter, o model.UserOrder, page model.PageRequest) (model.Page[model.User], error)
	Count(ctx context.Context, env model.EnvID, f model.UserFilter) (model.UserTotal, error)
	Identify(ctx context.Context, env model.EnvID, once model.Once, in model.IdentifyInput) (model.Outcome[model.Identified], error)
	IdentifyMany(ctx context.Context, env model.EnvID, once model.Once, in []model.IdentifyInput) (model.Outcome[[]model.IdentifyResult], error)
	Patch(ctx context.Context, env model.EnvID, once model.Once, identifier string, patch model.ProfilePatch) (model.Outcome[model.User], error)
	SetEnabled(ctx context.Context, env model.EnvID, once model.Once, identifier string, enabled bool) (model.Outcome[model.User], error)
	Delete(ctx context.Context, env model.EnvID, once model.Once, identifier string) (model.Outcome[model.UserID], error)
	Erase(ctx context.Context, env model.EnvID, once model.Once, identifier string) (model.Outcome[model.Erasure], error)
	Erasure(ctx context.Context, env model.EnvID, id model.ErasureID) (model.Erasure, error)

	ExportLimited(ctx context.Context, env model.EnvID, identifier string, most int) ([]byte, error)
	FindImport(ctx context.Context, env model.EnvID, id model.ImportID) (model.Import, error)
	CancelImport(ctx context.Context, env model.EnvID, once model.Once, id model.ImportID) (model.Outcome[model.Import], error)

	Devices(ctx context.Context, env model.EnvID, user model.UserID) ([]model.Device, error)
	Device(ctx context.Context, env model.EnvID, user model.UserID, id model.DeviceID) (model.Device, error)
	RegisterDevice(ctx context.Context, env model.EnvID, once model.Once, user model.UserID, in model.DeviceInput) (model.Outcome[model.Device], error)
	RemoveDevice(ctx context.Context, env model.EnvID, once model.Once, user model.UserID, key string) (model.Outcome[model.DeviceID], error)

	Addresses(ctx context.Context, user model.UserRef) ([]model.Address, error)
	AddAddress(ctx context.Context, once model.Once, user model.UserRef, in model.NewAddress) (model.Outcome[model.Address], error)
	SetAddressEnabled(ctx context.Context, once model.Once, user model.UserRef, id model.AddressID, enabled bool) (model.Outcome[model.Address], error)
	RemoveAddress(ctx context.Context, once model.Once, user model.UserRef, id model.AddressID) (model.Outcome[model.AddressID], error)

	Change(ctx context.Context, env model.EnvID, once model.Once, ch model.UserChange) (model.Outcome[model.Identified], error)
	MergeUsers(ctx context.Context, env model.EnvID, once model.Once, from, into string, dryRun bool) (model.Outcome[model.MergeResult], error)
	Merges(ctx context.Context, env model.EnvID, user model.UserID) ([]model.Merge, error)
	FormerIdentifiers(ctx context.Context, env model.EnvID, user model.UserID) ([]string, error)
	Memberships(ctx context.Context, env model.EnvID, users []model.UserID) (map[model.UserID][]model.Membership, error)
	MemberCounts(ctx context.Context, env model.EnvID, accounts []model.UserID) (map[model.UserID]int64, error)
	JoinAccounts(ctx context.Context, env model.EnvID, once model.Once, user string, changes []model.MembershipChange) (model.Outcome[model.User], error)
	LeaveAccount(ctx context.Context, env model.EnvID, once model.Once, user, account string) (model.Outcome[model.User], error)
	Track(ctx context.Context, env model.EnvID, once model.Once, identifier string, in []user.EventInput) (model.Outcome[[]model.Event], error)
	Events(ctx context.Context, env model.EnvID, user model.UserID, name string, page model.PageRequest) (model.Page[model.Event], error)
	Properties(ctx context.Context, env model.EnvID) ([]model.Property, error)
	SetProperty(ctx context.Context, env model.EnvID, once model.Once, p model.Property) (model.Outcome[model.Property], error)

	Preferences(ctx context.Context, env model.Environment, user model.UserID) ([]model.CategoryPreference, error)
	SetPreferences(ctx context.Context, env model.Environment, once model.Once, user model.UserID, changes []user.PreferenceInput) (model.Outcome[[]model.CategoryPreference], error)
	Explain(ctx context.Context, env model.Environment, identifier, category string, channel model.Channel) (model.Decision, error)
}

// Categories is what the surface asks of categories; *catalog.Service has it.
type Categories interface {
	Categories(ctx context.Context, env model.EnvID) ([]model.Category, error)
	CategoriesByID(ctx context.Context, env model.EnvID, ids []model.CategoryID) (map[model.CategoryID]model.Category, error)
	Create(ctx context.Context, env model.EnvID, once model.Once, c model.Category) (model.Outcome[model.Category], error)
	Update(ctx context.Context, env model.EnvID, once model.Once, identifier string, change model.CategoryChange) (model.Outcome[model.Category], error)
	Delete(ctx context.Context, env model.EnvID, once model.Once, identifier string) (model.Outcome[model.CategoryID], error)
}

// Templates is what the surface asks of templates; *catalog.Templates has it.
type Templates interface {
	Find(ctx context.Context, env model.EnvID, identifier string) (model.Template, error)
	ByID(ctx context.Context, env model.EnvID, id model.TemplateID) (model.Template, error)
	List(ctx context.Context, env model.EnvID, page model.PageRequest) (model.Page[model.Template], error)
	Create(ctx context.Context, env model.EnvID, once model.Once, t model.Template) (model.Outcome[model.Template], error)
	Update(ctx context.Context, env model.EnvID, once model.Once, identifier string, change model.TemplateChange) (model.Outcome[model.Template], error)
	Delete(ctx context.Context, env model.EnvID, once model.Once, identifier string) (model.Outcome[model.TemplateID], error)
	Preview(ctx context.Context, env model.EnvID, p model.TemplatePreview) ([]model.RenderedText, error)
}

// Layouts is what the surface asks of layouts; *catalog.Layouts has it.
type Layouts interface {
	Find(ctx context.Context, env model.EnvID, identifier string) (model.Layout, error)
	ByIDs(ctx context.Context, env model.EnvID, ids []model.LayoutID) (map[model.LayoutID]model.Layout, error)
	List(ctx context.Context, env model.EnvID, page model.PageRequest) (model.Page[model.Layout], error)
	Create(ctx context.Context, env model.EnvID, once model.Once, l model.Layout) (model.Outcome[model.Layout], error)
	Update(ctx context.Context, env model.EnvID, once model.Once, identifier string, change model.LayoutChange) (model.Outcome[model.Layout], error)
	Delete(ctx context.Context, env model.EnvID, once model.Once, identifier string) (model.Outcome[model.LayoutID], error)
}

// Topics is what the surface asks of topics; *audience.Service has it.
type Topics interface {
	ByID(ctx context.Context, env model.EnvID, id model.TopicID) (model.Topic, error)
	List(ctx context.Context, env model.EnvID, page model.PageRequest) (model.Page[model.Topic], error)
	Of(ctx context.Context, env model.EnvID, user model.UserID, page model.PageRequest) (model.Page[model.TopicSubscription], error)
	Members(ctx context.Context, env model.EnvID, topic model.TopicID, page model.PageRequest) (model.Page[model.TopicSubscription], error)
	Create(ctx context.Context, env model.EnvID, once model.Once, identifier, name string, details model.TopicDetails) (model.Outcome[model.Topic], error)
	Update(ctx context.Context, env model.EnvID, once model.Once, identifier string, change model.TopicChanges) (model.Outcome[model.Topic], error)
	Delete(ctx context.Context, env model.EnvID, once model.Once, identifier string) (model.Outcome[model.TopicID], error)
	Subscribe(ctx context.Context, env model.EnvID, once model.Once, identifier string, members []model.TopicMember) (model.Outcome[model.TopicChange], error)
	Unsubscribe(ctx context.Context, env model.EnvID, once model.Once, identifier string, users []string) (model.Outcome[model.TopicChange], error)
}

// Segments is what the surface asks of segments; *audience.Segments has it.
type Segments interface {
	Find(ctx context.Context, env model.EnvID, identifier string) (model.Segment, error)
	ByID(ctx context.Context, env model.EnvID, id model.SegmentID) (model.Segment, error)
	ByIDs(ctx context.Context, env model.EnvID, ids []model.SegmentID) (map[model.SegmentID]model.Segment, error)
	List(ctx context.Context, env model.EnvID, page model.PageRequest) (model.Page[model.Segment], error)
	Members(ctx context.Context, env model.EnvID, id model.SegmentID, page model.PageRequest) (model.Page[model.UserID], error)
	OfUsers(ctx context.Context, env model.EnvID, users []model.UserID) (map[model.UserID][]model.SegmentMembership, error)
	Preview(ctx context.Context, env model.EnvID, rule model.SegmentRule, limit int) (model.SegmentPreview, error)
	Create(ctx context.Context, once model.Once, m model.Segment) (model.Outcome[model.Segment], error)
	Update(ctx context.Context, env model.EnvID, once model.Once, identifier string, change model.SegmentChange) (model.Outcome[model.Segment], error)
	Delete(ctx context.Context, env model.EnvID, once model.Once, identifier string) (model.Outcome[model.SegmentID], error)
	Suppress(ctx context.Context, env model.EnvID, once model.Once, identifier, user string, suppressed bool) (model.Outcome[model.UserID], error)
}

// Apps is what the surface asks of credentials; *app.Service has it.
type Apps interface {
	Credentials(ctx context.Context, env model.EnvID) ([]model.Credential, error)
	CreateCredential(ctx context.Context, env model.EnvID, once model.Once, in model.NewCredential) (model.Outcome[model.IssuedCredential], error)
	RotateCredential(ctx context.Context, env model.EnvID, once model.Once, id model.CredentialID, overlap time.Duration) (model.Outcome[app.RotationIssued], error)
	RevokeCredential(ctx context.Context, env model.EnvID, once model.Once, id model.CredentialID) (model.Outcome[model.Credential], error)
}

// Deliveries is what the surface asks of deliveries and providers;
// *delivery.Service has it.
type Deliveries interface {
	Delivery(ctx context.Context, env model.EnvID, id model.DeliveryID) (model.Delivery, error)
	Of(ctx context.Context, env model.EnvID, ids []model.NotificationID) (map[model.NotificationID][]model.Delivery, error)
	List(ctx context.Context, env model.EnvID, f model.DeliveryFilter, page model.PageRequest) (model.Page[model.Delivery], error)
	AttemptsOf(ctx context.Context, env model.EnvID, ids []model.DeliveryID) (map[model.DeliveryID][]model.Attempt, error)
	WatchDeliveries(ctx context.Context, env model.EnvID, o delivery.WatchOptions, wake func()) (*delivery.Stream, error)
	Retry(ctx context.Context, env model.EnvID, once model.Once, id model.DeliveryID) (model.Outcome[model.Delivery], error)
	RetryAll(ctx context.Context, env model.EnvID, once model.Once, f model.DeliveryFilter) (model.Outcome[int], error)
	Explain(ctx context.Context, env model.Environment, n model.Notification, channel model.Channel) (model.Decision, error)

	AllKinds() []*delivery.Kind
	Providers(ctx context.Context, env model.EnvID) ([]model.Provider, error)
	Provider(ctx context.Context, env model.EnvID, id model.ProviderID) (model.Provider, error)
	CreateProvider(ctx context.Context, env model.EnvID, once model.Once, in model.ProviderInput) (model.Outcome[model.Provider], error)
	UpdateProvider(ctx context.Context, env model.EnvID, once model.Once, id model.ProviderID, change model.ProviderChange) (model.Outcome[model.Provider], error)
	DeleteProvider(ctx context.Context, env model.EnvID, once model.Once, id model.ProviderID) (model.Outcome[model.ProviderID], error)
	OrderProviders(ctx context.Context, env model.EnvID, once model.Once, channel model.Channel, ids []model.ProviderID) (model.Outcome[[]model.ProviderID], error)
	TestProvider(ctx context.Context, env model.EnvID, once model.Once, id model.ProviderID, to *delivery.Target) (model.Outcome[model.ProviderTest], error)
	ReceiptsURL(p model.Provider) string

	Suppress(ctx context.Context, env model.EnvID, once model.Once, m model.Suppression) (model.Outcome[model.Suppression], error)
	Unsuppress(ctx context.Context, env model.EnvID, once model.Once, id model.SuppressionID) (model.Outcome[model.Suppression], error)
	Suppressions(ctx context.Context, env model.EnvID, f model.SuppressionFilter, page model.PageRequest) (model.Page[model.Suppression], error)
}

// Webhooks is what the surface asks of webhook endpoints; *webhook.Service has
// it.
type Webhooks interface {
	Endpoints(ctx context.Context, env model.EnvID) ([]model.WebhookEndpoint, error)
	Create(ctx context.Context, env model.EnvID, once model.Once, in model.WebhookEndpointInput) (model.Outcome[model.IssuedWebhookEndpoint], error)
	Update(ctx context.Context, env model.EnvID, once model.Once, id model.WebhookEndpointID, change model.WebhookEndpointChange) (model.Outcome[model.WebhookEndpoint], error)
	Rotate(ctx context.Context, env model.EnvID, once model.Once, id model.WebhookEndpointID, secret string, overlap time.Duration) (model.Outcome[model.IssuedWebhookEndpoint], error)
	Delete(ctx context.Context, env model.EnvID, once model.Once, id model.WebhookEndpointID) (model.Outcome[model.WebhookEndpointID], error)
	Events(ctx context.Context, ref model.WebhookEndpointRef, states []model.WebhookState, page model.PageRequest) (model.Page[model.WebhookEvent], map[model.UserID]string, error)
	Identifiers(ctx context.Context, env model.EnvID, events ...model.WebhookEvent) (map[model.UserID]string, error)
	Attempts(ctx context.Context, ref model.WebhookEndpointRef, ids []model.WebhookEventID) (map[model.WebhookEventID][]model.WebhookAttempt, error)
	Replay(ctx context.Context, ref model.WebhookEndpointRef, once model.Once, id model.WebhookEventID) (model.Outcome[model.WebhookEvent], error)
	ReplayAll(ctx context.Context, ref model.WebhookEndpointRef, once model.Once, states []model.WebhookState, since time.Time) (model.Outcome[int], error)
}

// Inbox is what the surface asks of inboxes; *inbox.Service has it.
type Inbox interface {
	List(ctx context.Context, env model.EnvID, user model.UserID, f model.InboxFilter, page model.PageRequest) (model.Inbox, error)
	Newest(ctx context.Context, env model.EnvID, user model.UserID, first int, known int64) (page model.Inbox, same bool, err error)
	Find(ctx context.Context, env model.EnvID, id model.NotificationID) (model.Notification, error)
	ByIDs(ctx context.Context, env model.EnvID, ids []model.NotificationID) (map[model.NotificationID]model.Notification, error)
	Log(ctx context.Context, env model.EnvID, f model.NotificationFilter, page model.PageRequest) (model.Page[model.Notification], error)
	Interactions(ctx context.Context, env model.EnvID, ids []model.NotificationID) (map[model.NotificationID][]model.Interaction, error)
	Counters(ctx context.Context, env model.EnvID, user model.UserID) (model.Counters, int64, error)
	Position(user model.UserID, seq int64) model.Position
	Mark(ctx context.Context, env model.EnvID, once model.Once, user model.UserID, ids []model.NotificationID, as model.MarkState) (model.Outcome[model.MarkResult], error)
	MarkAll(ctx context.Context, env model.EnvID, once model.Once, user model.UserID, as model.MarkState, upTo *model.Position, f *model.InboxFilter) (model.Outcome[model.MarkResult], error)
	Delete(ctx context.Context, env model.EnvID, once model.Once, user model.UserID, ids []model.NotificationID) (model.Outcome[model.MarkResult], error)
	RecallSend(ctx context.Context, env model.EnvID, once model.Once, id model.SendID) (model.Outcome[model.Send], error)
	RecallNotifications(ctx context.Context, env model.EnvID, once model.Once, ids []model.NotificationID) (model.Outcome[model.Recalled], error)
	EditSend(ctx context.Context, env model.EnvID, once model.Once, id model.SendID, change model.ContentChange) (model.Outcome[model.Send], error)
	Watch(ctx context.Context, env model.EnvID, user model.UserID, o inbox.WatchOptions, wake func()) (*inbox.Stream, error)
}

// Sends is what the surface asks of sends; *notify.Service has it.
type Sends interface {
	Send(ctx context.Context, env model.Environment, req model.SendRequest) (model.Outcome[model.SendResult], error)
	Cancel(ctx context.Context, env model.EnvID, once model.Once, id model.SendID) (model.Outcome[model.Send], error)
	Find(ctx context.Context, env model.EnvID, id model.SendID) (model.Send, error)
	ByIDs(ctx context.Context, env model.EnvID, ids []model.SendID) (map[model.SendID]model.Send, error)
	List(ctx context.Context, env model.EnvID, f model.SendFilter, page model.PageRequest) (model.Page[model.Send], error)
	Skipped(ctx context.Context, env model.EnvID, sends []model.SendID) (map[model.SendID][]model.Skipped, error)
	Scheduled(ctx context.Context, env model.EnvID, page model.PageRequest) (model.Page[model.Send], error)
	WatchProgress(ctx context.Context, env model.EnvID, id model.SendID, wake func()) (*notify.ProgressStream, error)
}
