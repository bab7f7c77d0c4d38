package engage

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"carillon/auth"
	"carillon/internal/admission"
	"carillon/internal/id"
	"carillon/internal/shed"
	"carillon/model"
	"carillon/rest"
	"carillon/user"
)

// Users is what the dialect asks of users; *user.Service has it.
type Users interface {
	Find(ctx context.Context, env model.EnvID, identifier string) (model.User, error)
	ByIDs(ctx context.Context, env model.EnvID, ids []model.UserID) (map[model.UserID]model.User, error)
	List(ctx context.Context, env model.EnvID, f model.UserFilter, o model.UserOrder, page model.PageRequest) (model.Page[model.User], error)
	Change(ctx context.Context, env model.EnvID, once model.Once, ch model.UserChange) (model.Outcome[model.Identified], error)
	Merge(identifier string, attributes json.RawMessage) (model.ProfileMerge, []model.Problem)
	Token(in model.DeviceInput, path ...string) (model.DeviceSave, []model.Problem)
	Delete(ctx context.Context, env model.EnvID, once model.Once, identifier string) (model.Outcome[model.UserID], error)
	MergeUsers(ctx context.Context, env model.EnvID, once model.Once, from, into string, dryRun bool) (model.Outcome[model.MergeResult], error)
	AddressesOf(ctx context.Context, users []model.UserRef) (map[model.UserRef][]model.Address, error)
	Memberships(ctx context.Context, env model.EnvID, users []model.UserID) (map[model.UserID][]model.Membership, error)
	MemberCounts(ctx context.Context, env model.EnvID, accounts []model.UserID) (map[model.UserID]int64, error)
	Members(ctx context.Context, env model.EnvID, account model.UserID, page model.PageRequest) (model.Page[model.Membership], error)
	JoinAccounts(ctx context.Context, env model.EnvID, once model.Once, user string, changes []model.MembershipChange) (model.Outcome[model.User], error)
	SetRole(ctx context.Context, env model.EnvID, once model.Once, user, account, role string) (model.Outcome[model.User], error)
	LeaveAccount(ctx context.Context, env model.EnvID, once model.Once, user, account string) (model.Outcome[model.User], error)
	Track(ctx context.Context, env model.EnvID, once model.Once, identifier string, in []user.EventInput) (model.Outcome[[]model.Event], error)
	Properties(ctx context.Context, env model.EnvID) ([]model.Property, error)
	Stats(ctx context.Context, env model.EnvID, user model.UserID) (model.UserStats, error)
}

// Topics is what the dialect asks of topics; *audience.Service has it.
type Topics interface {
	ByID(ctx context.Context, env model.EnvID, id model.TopicID) (model.Topic, error)
	ListOpen(ctx context.Context, env model.EnvID, page model.PageRequest) (model.Page[model.Topic], error)
	OfUsers(ctx context.Context, env model.EnvID, users []model.UserID) (map[model.UserID][]model.TopicSubscription, error)
	Counts(ctx context.Context, env model.EnvID, topics []model.TopicID) (map[model.TopicID]int64, error)
	Create(ctx context.Context, env model.EnvID, once model.Once, identifier, name string, details model.TopicDetails) (model.Outcome[model.Topic], error)
	Update(ctx context.Context, env model.EnvID, once model.Once, identifier string, change model.TopicChanges) (model.Outcome[model.Topic], error)
	Subscribe(ctx context.Context, env model.EnvID, once model.Once, identifier string, members []model.TopicMember) (model.Outcome[model.TopicChange], error)
	Unsubscribe(ctx context.Context, env model.EnvID, once model.Once, identifier string, users []string) (model.Outcome[model.TopicChange], error)
}

// Sends is what the dialect asks of sends; *notify.Service has it.
type Sends interface {
	Send(ctx context.Context, env model.Environment, req model.SendRequest) (model.Outcome[model.SendResult], error)
}

// Config is what the dialect works on. Admission and Log may be nil, Timeout
// zero.
type Config struct {
	Users     Users
	Topics    Topics
	Segments  Segments // nil: there are none
	Sends     Sends
	Gate      *auth.Gate
	Admission *admission.Desk
	Timeout   time.Duration
	Log       *slog.Logger
}

// API is the dialect. Make one with New.
type API struct {
	Config
	ids id.Source
}

// New makes the dialect.
func New(c Config) *API { return &API{Config: c} }

// owned are the first segments of the dialect's paths.
var owned = []string{"users", "lists", "account", "data", "send", "batch", "messages", "campaigns"}

// Mount adds the routes, with /v1 in front and without.
func (a *API) Mount(router *rest.Router) {
	s := &rest.Surface{
		Name: "engage", Authenticate: a.authenticate, Source: a.Gate.Source, Admission: a.Admission,
		Envelope:  func(_ *http.Request, f *rest.Failure) any { return map[string]string{"error": f.Message} },
		Challenge: `Basic realm="Engage", charset="UTF-8"`, Timeout: a.Timeout, Log: a.Log,
	}
	client, backend := rest.Access{}, rest.Access{Allow: onlyBackend}
	listing := rest.Access{Allow: onlyBackend, Class: shed.Searching}
	sending := rest.Access{Allow: onlyBackend, Class: shed.Sending}
	many := rest.Access{Allow: onlyBackend, Class: shed.Searching, Within: batchWithin}
	for _, root := range []string{"/v1", ""} {
		for _, segment := range owned {
			router.Own(root+"/"+segment, s)
		}
		handle := func(pattern string, access rest.Access, h rest.Handler) {
			method, path, _ := strings.Cut(pattern, " ")
			router.Handle(s, method+" "+root+path, access, h)
		}
		handle("POST /users", client, a.createUser)
		handle("GET /users", listing, a.listUsers)
		handle("POST /users/merge", client, a.mergeUsers)
		handle("GET /users/{uid}", backend, a.getUser)
		handle("PUT /users/{uid}", client, a.putUser)
		handle("DELETE /users/{uid}", backend, a.deleteUser)
		handle("POST /users/{uid}/events", client, a.track)
		handle("DELETE /users/{uid}/tokens/{token}", client, a.deleteToken)
		handle("POST /users/{uid}/convert", client, a.convert)
		handle("POST /users/{uid}/archive", backend, a.archive)
		handle("DELETE /users/{uid}/attributes/{name}", backend, a.deleteAttribute)
		handle("GET /users/{uid}/members", listing, a.members)
		handle("POST /users/{uid}/accounts", client, a.joinAccounts)
		handle("PUT /users/{uid}/accounts/{account}", client, a.setRole)
		handle("DELETE /users/{uid}/accounts/{account}", client, a.leaveAccount)
		handle("POST /users/{uid}/lists", backend, a.joinLists)
		handle("DELETE /users/{uid}/lists", backend, a.leaveLists)
		handle("GET /data/attributes", backend, a.attributes)
		handle("GET /account", client, a.account)
		handle("POST /send/email", sending, a.sendEmail)
		handle("POST /send/sms", sending, a.sendSMS)
		handle("POST /batch", many, a.batch)

		handle("POST /lists", backend, a.createList)
		handle("GET /lists", client, a.listLists)
		handle("GET /lists/{list}", client, a.getList)
		handle("PUT /lists/{list}", client, a.putList)
		handle("DELETE /lists/{list}", backend, a.archiveList)
		handle("POST /lists/{list}/subscribers", client, a.subscribe)
		handle("PUT /lists/{list}/subscribers/{uid}", backend, a.setSubscribed)
		handle("DELETE /lists/{list}/subscribers/{uid}", backend, a.unsubscribe)
	}
}

// authenticate says who calls.
func (a *API) authenticate(r *http.Request) (auth.Caller, error) {
	from := auth.SourceOf
	if a.Gate.Source != nil {
		from = a.Gate.Source
	}
	if len(r.Header.Values(auth.HeaderAuthorization)) == 0 {
		return auth.Caller{}, &model.Error{Kind: model.KindUnauthenticated, Message: "Authorization: Basic is required, with the key, and the secret where the call needs it", Err: auth.ErrNone}
	}
	key, secret, ok := r.BasicAuth()
	if !ok || len(r.Header.Values(auth.HeaderAuthorization)) > 1 || key == "" {
		return auth.Caller{}, a.Gate.Counted(from(r), auth.Refuse("Authorization is not one Basic with a key"))
	}
	return a.Gate.AdmitEngage(r.Context(), from(r), strings.TrimPrefix(key, "crd_"), secret)
}

// onlyBackend is for calls that need the secret.
func onlyBackend(c auth.Caller) error {
	if c.Public {
		return model.Errorf(model.KindForbidden, "this call needs the key and the secret; the key alone will not do")
	}
	return nil
}

// status is the answer that has nothing to tell.
type status struct {
	Status string `json:"status"`
}

var done = status{"ok"}

// call is a request that was let in.
type call struct {
	*API
	r      *http.Request
	caller auth.Caller
	env    model.EnvID
	body   rest.Members
	check  model.Check
	once   model.Once
}

// begin reads a request's body, which may be empty; operation is the word for
// its idempotency keys.
func (a *API) begin(r *http.Request, operation string) (*call, error) {
	return a.read(r, operation, rest.MaxBody)
}

// beginLarge is begin for a body that holds many things.
func (a *API) beginLarge(r *http.Request, operation string) (*call, error) {
	return a.read(r, operation, rest.MaxBulkBody)
}

func (a *API) read(r *http.Request, operation string, limit int64) (*call, error) {
	caller, err := auth.Require(r.Context())
	if err != nil {
		return nil, err
	}
	c := &call{API: a, r: r, caller: caller, env: caller.Env.ID}
	raw, err := rest.Body(r, limit)
	if err != nil {
		return nil, err
	}
	c.body = rest.Object(raw, &c.check)
	if operation != "" {
		c.once, err = rest.Once(r, caller, operation, raw)
	}
	return c, err
}

func (c *call) ctx() context.Context { return c.r.Context() }
