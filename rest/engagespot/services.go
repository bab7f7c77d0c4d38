package engagespot

import (
	"context"

	"carillon/model"
	"carillon/user"
)

// Inbox is what the dialect asks of inboxes; *inbox.Service has it.
type Inbox interface {
	Page(ctx context.Context, env model.EnvID, user model.UserID, f model.InboxFilter, at model.PageNumber) (model.NumberedInbox, error)
	Owner(ctx context.Context, env model.EnvID, id model.NotificationID) (model.UserID, error)
	Counters(ctx context.Context, env model.EnvID, user model.UserID) (model.Counters, int64, error)
	Mark(ctx context.Context, env model.EnvID, once model.Once, user model.UserID, ids []model.NotificationID, as model.MarkState) (model.Outcome[model.MarkResult], error)
	MarkPage(ctx context.Context, env model.EnvID, once model.Once, user model.UserID, f model.InboxFilter, at model.PageNumber, as model.MarkState) (model.Outcome[model.MarkResult], error)
	MarkAll(ctx context.Context, env model.EnvID, once model.Once, user model.UserID, as model.MarkState, upTo *model.Position, f *model.InboxFilter) (model.Outcome[model.MarkResult], error)
	SetState(ctx context.Context, env model.EnvID, once model.Once, user model.UserID, id model.NotificationID, change model.StateChange) (model.Outcome[model.MarkResult], error)
	Delete(ctx context.Context, env model.EnvID, once model.Once, user model.UserID, ids []model.NotificationID) (model.Outcome[model.MarkResult], error)
	DeleteAll(ctx context.Context, env model.EnvID, once model.Once, user model.UserID) (model.Outcome[model.MarkResult], error)
}

// Sends is what the dialect asks of sends; *notify.Service has it.
type Sends interface {
	Send(ctx context.Context, env model.Environment, req model.SendRequest) (model.Outcome[model.SendResult], error)
}

// Users is what the dialect asks of users; *user.Service has it.
type Users interface {
	Find(ctx context.Context, env model.EnvID, identifier string) (model.User, error)
	Identify(ctx context.Context, env model.EnvID, once model.Once, in model.IdentifyInput) (model.Outcome[model.Identified], error)
	Patch(ctx context.Context, env model.EnvID, once model.Once, identifier string, patch model.ProfilePatch) (model.Outcome[model.User], error)
	Delete(ctx context.Context, env model.EnvID, once model.Once, identifier string) (model.Outcome[model.UserID], error)

	Devices(ctx context.Context, env model.EnvID, user model.UserID) ([]model.Device, error)
	RegisterDevice(ctx context.Context, env model.EnvID, once model.Once, user model.UserID, in model.DeviceInput) (model.Outcome[model.Device], error)
	RemoveDevice(ctx context.Context, env model.EnvID, once model.Once, user model.UserID, key string) (model.Outcome[model.DeviceID], error)

	Chosen(ctx context.Context, env model.Environment, user model.UserID) ([]model.CategoryPreference, error)
	SetPreferences(ctx context.Context, env model.Environment, once model.Once, user model.UserID, changes []user.PreferenceInput) (model.Outcome[[]model.CategoryPreference], error)
}

// Catalog is what the dialect asks of categories; *catalog.Service has it.
type Catalog interface {
	Categories(ctx context.Context, env model.EnvID) ([]model.Category, error)
	CategoriesByID(ctx context.Context, env model.EnvID, ids []model.CategoryID) (map[model.CategoryID]model.Category, error)
	Find(ctx context.Context, env model.EnvID, identifier string) (model.Category, error)
	Create(ctx context.Context, env model.EnvID, once model.Once, c model.Category) (model.Outcome[model.Category], error)
	DeleteByID(ctx context.Context, env model.EnvID, once model.Once, id model.CategoryID) (model.Outcome[model.CategoryID], error)
}

// Topics is what the dialect asks of topics; *audience.Service has it.
type Topics interface {
	Find(ctx context.Context, env model.EnvID, identifier string) (model.Topic, error)
	ByID(ctx context.Context, env model.EnvID, id model.TopicID) (model.Topic, error)
	Of(ctx context.Context, env model.EnvID, user model.UserID, page model.PageRequest) (model.Page[model.TopicSubscription], error)
	Create(ctx context.Context, env model.EnvID, once model.Once, identifier, name string, details model.TopicDetails) (model.Outcome[model.Topic], error)
	Update(ctx context.Context, env model.EnvID, once model.Once, identifier string, change model.TopicChanges) (model.Outcome[model.Topic], error)
	DeleteByID(ctx context.Context, env model.EnvID, once model.Once, id model.TopicID) (model.Outcome[model.TopicID], error)
	Subscribe(ctx context.Context, env model.EnvID, once model.Once, identifier string, members []model.TopicMember) (model.Outcome[model.TopicChange], error)
	Unsubscribe(ctx context.Context, env model.EnvID, once model.Once, identifier string, users []string) (model.Outcome[model.TopicChange], error)
}

// Apps is what the dialect asks of apps; *app.Service has it.
type Apps interface {
	PushKey(ctx context.Context, env model.EnvID) (model.PushKey, error)
}
