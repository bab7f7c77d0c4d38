package graph

import (
	"context"
	"log/slog"

	"carillon/graph/generated"
	"carillon/model"
)

// Status is what [generated.ServerStatus] says.
type Status struct {
	Version             string
	Database            string
	LiveAcrossProcesses bool
	Warnings            []string
}

// Sessions are the open streams of this process; *auth.Sessions has it.
type Sessions interface {
	EndCredential(id model.CredentialID)
	EndUser(env model.EnvID, user model.UserID)
}

// Memory is what authentication remembers of credentials and users;
// *auth.Service has it.
type Memory interface {
	Forget(env model.EnvID)
	ForgetUser(env model.EnvID, identifier string)
}

// Resolver is what the resolvers share: the services they call.
type Resolver struct {
	Users      Users
	Categories Categories
	Topics     Topics
	Segments   Segments
	Templates  Templates
	Layouts    Layouts
	Apps       Apps
	Inbox      Inbox
	Sends      Sends
	Deliveries Deliveries
	Webhooks   Webhooks

	Sessions Sessions
	Memory   Memory
	Status   func(context.Context) Status
	Log      *slog.Logger
}

var _ generated.ResolverRoot = (*root)(nil)

// root hands out the resolvers of each type.
type root struct{ *Resolver }

func (r root) Query() generated.QueryResolver               { return &query{r.Resolver} }
func (r root) Mutation() generated.MutationResolver         { return &mutation{r.Resolver} }
func (r root) Subscription() generated.SubscriptionResolver { return &subscription{} }
func (r root) User() generated.UserResolver                 { return &userFields{r.Resolver} }
func (r root) Segment() generated.SegmentResolver           { return &segmentFields{r.Resolver} }
func (r root) Topic() generated.TopicResolver               { return &topicFields{r.Resolver} }
func (r root) Provider() generated.ProviderResolver         { return &providerFields{r.Resolver} }
func (r root) Viewer() generated.ViewerResolver             { return &viewer{r.Resolver} }

// userGone ends what a deleted user has open in this process; other processes
// notice by themselves.
func (r *Resolver) userGone(env model.EnvID, user model.UserID, identifier string) {
	r.Memory.ForgetUser(env, identifier)
	r.Sessions.EndUser(env, user)
}

// credentialsChanged makes new and ended credentials count at once in this
// process.
func (r *Resolver) credentialsChanged(env model.EnvID, ended ...model.CredentialID) {
	r.Memory.Forget(env)
	for _, id := range ended {
		r.Sessions.EndCredential(id)
	}
}
