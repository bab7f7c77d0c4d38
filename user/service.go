// Package user keeps the people who can be notified: who they are, what is
// known of them, on which devices they can be reached, and what they chose to
// hear. It owns the rules of profiles (which attributes have a form, what a
// patch may do) and the making of effective preferences out of package
// preference's ladder.
//
// It does not know who calls, what a send is, or how the database keeps a
// profile; a change reaches open streams only when a user is deleted.
//
// # Profiles
//
// A profile is one JSON object of at most 64 KB with a version that grows by
// one with each change. Whatever changes it reads, merges and writes within
// one transaction, and what changes nothing writes nothing. Attributes that
// have a meaning here (see package model) are checked when they are written;
// all others are the application's.
package user

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	"carillon/internal/dial"
	"carillon/internal/id"
	"carillon/model"
)

// Store is what users need from the database; *store.Store has it. What does
// not exist in the environment is a KindNotFound error.
type Store interface {
	User(ctx context.Context, env model.EnvID, identifier string) (model.User, error)
	UsersByID(ctx context.Context, env model.EnvID, ids []model.UserID) ([]model.User, error)
	ListUsers(ctx context.Context, env model.EnvID, f model.UserFilter, o model.UserOrder, page model.PageRequest) (model.Page[model.User], error)
	CountUsers(ctx context.Context, env model.EnvID, f model.UserFilter) (model.UserTotal, error)
	PropertyTypes(ctx context.Context, env model.EnvID, names []string) (map[string]model.PropertyType, error)
	TopicIDs(ctx context.Context, env model.EnvID, identifiers []string) (map[string]model.TopicID, error)
	SaveSeen(ctx context.Context, seen map[model.UserRef]time.Time) error
	IdentifyUser(ctx context.Context, env model.EnvID, once model.Once, identifier string, merge model.ProfileMerge) (model.Outcome[model.Identified], error)
	IdentifyUsers(ctx context.Context, env model.EnvID, once model.Once, identifiers []string, merge model.ProfileMerge) (model.Outcome[[]model.IdentifyResult], error)
	PatchProfile(ctx context.Context, env model.EnvID, once model.Once, identifier string, expected *int64, patch func(now json.RawMessage) (json.RawMessage, error)) (model.Outcome[model.User], error)
	SetUserEnabled(ctx context.Context, env model.EnvID, once model.Once, identifier string, enabled bool) (model.Outcome[model.User], error)
	DeleteUser(ctx context.Context, env model.EnvID, once model.Once, id model.ErasureID, identifier string) (model.Outcome[model.UserID], error)
	EraseUser(ctx context.Context, env model.EnvID, once model.Once, id model.ErasureID, identifier string) (model.Outcome[model.Erasure], error)
	AdvanceErasure(ctx context.Context, env model.EnvID, id model.ErasureID) (model.Erasure, error)
	Erasure(ctx context.Context, env model.EnvID, id model.ErasureID) (model.Erasure, error)
	RunningErasures(ctx context.Context, limit int) ([]model.Erasure, error)

	BeginImport(ctx context.Context, i model.Import) error
	StageImport(ctx context.Context, env model.EnvID, id model.ImportID, rows json.RawMessage, count int64) error
	StartImport(ctx context.Context, env model.EnvID, id model.ImportID) (model.Import, error)
	DropImport(ctx context.Context, env model.EnvID, id model.ImportID) error
	DropOldImports(ctx context.Context, silent, done time.Time) error
	NextImport(ctx context.Context, after model.EnvID) (model.ImportPart, bool, error)
	CancelImport(ctx context.Context, env model.EnvID, once model.Once, id model.ImportID) (model.Outcome[model.Import], error)
	SaveImport(ctx context.Context, w model.ImportWork) (busy bool, err error)
	FinishImport(ctx context.Context, env model.EnvID, id model.ImportID) (busy bool, err error)
	Import(ctx context.Context, env model.EnvID, id model.ImportID) (model.Import, error)

	Devices(ctx context.Context, env model.EnvID, user model.UserID) ([]model.Device, error)
	Device(ctx context.Context, env model.EnvID, user model.UserID, id model.DeviceID) (model.Device, error)
	RegisterDevice(ctx context.Context, env model.EnvID, once model.Once, fresh model.Device, change func(was model.Device) model.Device) (model.Outcome[model.Device], error)
	RemoveDevice(ctx context.Context, env model.EnvID, once model.Once, user model.UserID, key string) (model.Outcome[model.DeviceID], error)

	Addresses(ctx context.Context, users []model.UserRef) (map[model.UserRef][]model.Address, error)
	AddAddress(ctx context.Context, once model.Once, user model.UserRef, id model.AddressID, in model.NewAddress) (model.Outcome[model.Address], error)
	SetAddressEnabled(ctx context.Context, once model.Once, user model.UserRef, id model.AddressID, enabled bool) (model.Outcome[model.Address], error)
	RemoveAddress(ctx context.Context, once model.Once, user model.UserRef, id model.AddressID) (model.Outcome[model.AddressID], error)

	ChangeUser(ctx context.Context, env model.EnvID, once model.Once, ch model.UserChange) (model.Outcome[model.Identified], error)
	MergeUsers(ctx context.Context, env model.EnvID, once model.Once, id model.MergeID, from, into string, join model.ProfileJoin, dryRun bool) (model.Outcome[model.MergeResult], error)
	Merges(ctx context.Context, env model.EnvID, user model.UserID) ([]model.Merge, error)
	FormerIdentifiers(ctx context.Context, env model.EnvID, user model.UserID) ([]string, error)
	Memberships(ctx context.Context, env model.EnvID, users []model.UserID) (map[model.UserID][]model.Membership, error)
	MemberCounts(ctx context.Context, env model.EnvID, accounts []model.UserID) (map[model.UserID]int64, error)
	UserStats(ctx context.Context, env model.EnvID, user model.UserID) (model.UserStats, error)
	Members(ctx context.Context, env model.EnvID, account model.UserID, page model.PageRequest) (model.Page[model.Membership], error)
	JoinAccounts(ctx context.Context, env model.EnvID, once model.Once, user string, changes []model.MembershipChange) (model.Outcome[model.User], error)
	SetRole(ctx context.Context, env model.EnvID, once model.Once, user, account, role string) (model.Outcome[model.User], error)
	LeaveAccount(ctx context.Context, env model.EnvID, once model.Once, user, account string) (model.Outcome[model.User], error)
	TrackEvents(ctx context.Context, env model.EnvID, once model.Once, identifier string, events []model.Event) (model.Outcome[[]model.Event], error)
	Events(ctx context.Context, env model.EnvID, user model.UserID, name string, page model.PageRequest) (model.Page[model.Event], error)
	TopicsOfUsers(ctx context.Context, env model.EnvID, users []model.UserID) (map[model.UserID][]model.TopicSubscription, error)
	SegmentsOfUsers(ctx context.Context, env model.EnvID, users []model.UserID) (map[model.UserID][]model.SegmentMembership, error)
	SegmentByID(ctx context.Context, env model.EnvID, id model.SegmentID) (model.Segment, error)
	NotificationLog(ctx context.Context, env model.EnvID, f model.NotificationFilter, page model.PageRequest) (model.Page[model.Notification], error)
	ListDeliveries(ctx context.Context, env model.EnvID, f model.DeliveryFilter, page model.PageRequest) (model.Page[model.Delivery], error)
	Attempts(ctx context.Context, env model.EnvID, ids []model.DeliveryID) (map[model.DeliveryID][]model.Attempt, error)
	Properties(ctx context.Context, env model.EnvID) ([]model.Property, error)
	SetProperty(ctx context.Context, env model.EnvID, once model.Once, p model.Property) (model.Outcome[model.Property], error)
	NoteProperties(ctx context.Context, env model.EnvID, types map[string]model.PropertyType) error

	Categories(ctx context.Context, env model.EnvID) ([]model.Category, error)
	Choices(ctx context.Context, env model.EnvID, user model.UserID) ([]model.Choice, error)
	SetPreferences(ctx context.Context, env model.EnvID, once model.Once, user model.UserID,
		plan func([]model.Category) ([]model.ChoiceChange, error), show func([]model.Category, []model.Choice) []model.CategoryPreference,
	) (model.Outcome[[]model.CategoryPreference], error)
	Recipients(ctx context.Context, q model.RecipientQuery) ([]model.Recipient, error)
	Interactions(ctx context.Context, env model.EnvID, ids []model.NotificationID) (map[model.NotificationID][]model.Interaction, error)
}

// Publisher wakes streams; *live.Hub is one.
type Publisher interface {
	Publish(ctx context.Context, hints ...model.Hint)
}

// Service keeps users. Store and Live must be set; the methods may be called
// concurrently.
type Service struct {
	Store Store
	Live  Publisher
	Log   *slog.Logger // nil: slog's default
	// Guard says which push endpoints may be called at all.
	Guard dial.Guard

	Now func() time.Time // nil: time.Now

	ids     id.Source
	noted   noted
	seen    seen
	waking  sync.Once
	imports chan struct{} // wakes the worker of imports
}

// Find reads a user by identifier. Text that can be no identifier names nobody.
func (s *Service) Find(ctx context.Context, env model.EnvID, identifier string) (model.User, error) {
	if model.CheckIdentifier(identifier) != "" {
		return model.User{}, errUnknown
	}
	return s.Store.User(ctx, env, identifier)
}

var errUnknown = model.NotFound("names no user", "user")

// ByIDs reads users by id; ids that name none are left out.
func (s *Service) ByIDs(ctx context.Context, env model.EnvID, ids []model.UserID) (map[model.UserID]model.User, error) {
	found, err := s.Store.UsersByID(ctx, env, ids)
	if err != nil {
		return nil, err
	}
	out := make(map[model.UserID]model.User, len(found))
	for _, u := range found {
		out[u.ID] = u
	}
	return out, nil
}

// SetEnabled enables or disables a user.
func (s *Service) SetEnabled(ctx context.Context, env model.EnvID, once model.Once, identifier string, enabled bool) (model.Outcome[model.User], error) {
	if model.CheckIdentifier(identifier) != "" {
		return model.Outcome[model.User]{}, errUnknown
	}
	return s.Store.SetUserEnabled(ctx, env, once, identifier, enabled)
}
