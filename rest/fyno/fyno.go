package fyno

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"regexp"
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
	Change(ctx context.Context, env model.EnvID, once model.Once, ch model.UserChange) (model.Outcome[model.Identified], error)
	Merge(identifier string, attributes json.RawMessage) (model.ProfileMerge, []model.Problem)
	Token(in model.DeviceInput, path ...string) (model.DeviceSave, []model.Problem)
	Delete(ctx context.Context, env model.EnvID, once model.Once, identifier string) (model.Outcome[model.UserID], error)
	MergeUsers(ctx context.Context, env model.EnvID, once model.Once, from, into string, dryRun bool) (model.Outcome[model.MergeResult], error)
	FormerIdentifiers(ctx context.Context, env model.EnvID, user model.UserID) ([]string, error)
	Addresses(ctx context.Context, user model.UserRef) ([]model.Address, error)
	Properties(ctx context.Context, env model.EnvID) ([]model.Property, error)
	Preferences(ctx context.Context, env model.Environment, user model.UserID) ([]model.CategoryPreference, error)
	Choices(ctx context.Context, env model.EnvID, user model.UserID) ([]model.Choice, error)
	SetPreferences(ctx context.Context, env model.Environment, once model.Once, user model.UserID, changes []user.PreferenceInput) (model.Outcome[[]model.CategoryPreference], error)
}

// Categories is what the dialect asks of categories; *catalog.Service has it.
type Categories interface {
	Find(ctx context.Context, env model.EnvID, identifier string) (model.Category, error)
}

// Suppressions is what the dialect asks of suppressions; *delivery.Service has
// it.
type Suppressions interface {
	Suppress(ctx context.Context, env model.EnvID, once model.Once, m model.Suppression) (model.Outcome[model.Suppression], error)
	Unsuppress(ctx context.Context, env model.EnvID, once model.Once, id model.SuppressionID) (model.Outcome[model.Suppression], error)
	Suppressions(ctx context.Context, env model.EnvID, f model.SuppressionFilter, page model.PageRequest) (model.Page[model.Suppression], error)
}

// Sends is what the dialect asks of sends; *notify.Service has it.
type Sends interface {
	Send(ctx context.Context, env model.Environment, req model.SendRequest) (model.Outcome[model.SendResult], error)
}

// Config is what the dialect works on. Admission and Log may be nil, Timeout
// zero, and Now nil: time.Now.
type Config struct {
	Users        Users
	Categories   Categories
	Suppressions Suppressions
	Sends        Sends
	Gate         *auth.Gate
	Admission    *admission.Desk
	Timeout      time.Duration
	Now          func() time.Time
	Log          *slog.Logger
}

// API is the dialect. Make one with New.
type API struct {
	Config
	ids id.Source
}

// New makes the dialect.
func New(c Config) *API {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &API{Config: c}
}

// bulkWithin bounds a bulk event, which is as many sends as it has items.
const bulkWithin = time.Minute

// Mount adds the routes.
func (a *API) Mount(router *rest.Router) {
	s := &rest.Surface{
		Name: "fyno", Authenticate: a.authenticate, Source: a.Gate.Source, Admission: a.Admission, Envelope: envelope,
		Challenge: `Bearer realm="Fyno"`, Timeout: a.Timeout, Log: a.Log,
	}
	sending := rest.Access{Class: shed.Sending}
	for _, version := range []string{string(model.EnvTest), string(model.EnvLive)} {
		root := "/v1/{workspace}/" + version
		router.Own(root, s)
		handle := func(pattern string, access rest.Access, h rest.Handler) {
			method, path, _ := strings.Cut(pattern, " ")
			router.Handle(s, method+" "+root+path, access, h)
		}
		handle("POST /profiles", rest.Access{}, a.createProfile)
		handle("POST /profiles/delete", rest.Access{}, a.deleteProfiles)
		handle("GET /profiles/{id}", rest.Access{}, a.getProfile)
		handle("PUT /profiles/{id}", rest.Access{}, a.putProfile)
		handle("PATCH /profiles/{id}/channel", rest.Access{}, a.patchChannel)
		handle("POST /profiles/{id}/channel/delete", rest.Access{}, a.deleteChannel)
		for _, method := range []string{"PATCH", "POST"} { // Fyno's own client posts
			handle(method+" /profiles/{id}/merge/{target}", rest.Access{}, a.mergeProfiles)
		}
		for path, op := range operators {
			handle("POST /profiles/properties/"+path, rest.Access{}, a.changeProperties(op))
		}
		handle("POST /profiles/properties/batch", rest.Access{}, a.batchProperties)

		handle("GET /subscriptions/preference", rest.Access{}, a.getPreferences)
		handle("PUT /subscriptions/preference", rest.Access{}, a.putPreferences)
		handle("POST /subscriptions/list/{subscription}/user", rest.Access{}, a.subscribe)

		handle("POST /event", sending, a.event)
		handle("POST /event/bulk", rest.Access{Class: shed.Sending, Within: bulkWithin}, a.bulkEvent)
	}
	router.Own("/v1/{workspace}/suppressions", s)
	router.Handle(s, "GET /v1/{workspace}/suppressions", rest.Access{Class: shed.Searching}, a.suppressions)
	router.Handle(s, "POST /v1/{workspace}/suppressions", rest.Access{}, a.suppress)
	router.Handle(s, "DELETE /v1/{workspace}/suppressions", rest.Access{}, a.unsuppress)
}

// fynoWorkspace is a workspace id of Fyno's own. It says nothing here, so that
// clients that are moved need not change it: the key names the app.
var fynoWorkspace = regexp.MustCompile(`^FY[0-9A-Za-z]{2,}$`)

const invalid = "Invalid API details"

// authenticate admits secret keys whose environment and app the path names.
func (a *API) authenticate(r *http.Request) (auth.Caller, error) {
	from := auth.SourceOf
	if a.Gate.Source != nil {
		from = a.Gate.Source
	}
	values := r.Header.Values(auth.HeaderAuthorization)
	if len(values) == 0 {
		return auth.Caller{}, &model.Error{Kind: model.KindUnauthenticated, Message: invalid, Err: auth.ErrNone}
	}
	if len(values) > 1 {
		return auth.Caller{}, a.Gate.Counted(from(r), auth.Refuse("there is more than one Authorization"))
	}
	c, err := a.Gate.Admit(r.Context(), from(r), auth.Presented{Authorization: values[0]})
	if err != nil {
		return auth.Caller{}, err
	}
	if c.Kind != auth.Secret {
		return auth.Caller{}, a.Gate.Counted(from(r), auth.Refuse("only a secret key may use this dialect"))
	}
	segments := strings.FieldsFunc(r.URL.Path, func(c rune) bool { return c == '/' })
	workspace, version := r.PathValue("workspace"), segments[2] // there, as a route was found
	if workspace != c.Env.AppName && !fynoWorkspace.MatchString(workspace) || version != "suppressions" && version != string(c.Env.Kind) {
		return auth.Caller{}, &model.Error{Kind: model.KindUnauthenticated, Message: invalid}
	}
	return c, nil
}

// envelope is the body of an error. Fyno knows 401, and 400 for all else that is
// wrong with a request, an unknown profile included.
func envelope(_ *http.Request, f *rest.Failure) any {
	switch {
	case f.Status == http.StatusUnauthorized:
		f.Message = invalid
	case f.Status >= 400 && f.Status < 500 && f.Status != http.StatusTooManyRequests:
		f.Status = http.StatusBadRequest
	}
	return map[string]string{"status": "error", "_message": f.Message}
}

// done is the answer to a write.
type done struct {
	Status  string `json:"status"`
	Message string `json:"_message"`
}

func ok(message string) done { return done{"ok", message} }

// call is a request that was let in.
type call struct {
	*API
	r      *http.Request
	caller auth.Caller
	env    model.EnvID
	raw    json.RawMessage
	body   rest.Members
	check  model.Check
	once   model.Once
}

// begin reads a request's body, which may be empty; operation is the word for
// its idempotency keys.
func (a *API) begin(r *http.Request, operation string, limit int64) (*call, error) {
	caller, err := auth.Require(r.Context())
	if err != nil {
		return nil, err
	}
	c := &call{API: a, r: r, caller: caller, env: caller.Env.ID}
	if c.raw, err = rest.Body(r, limit); err != nil {
		return nil, err
	}
	c.body = rest.Object(c.raw, &c.check)
	if operation != "" {
		c.once, err = rest.Once(r, caller, operation, c.raw)
	}
	return c, err
}

func (c *call) ctx() context.Context { return c.r.Context() }

// unknown words an error about a profile that is not there.
func unknown(err error, identifier string) error {
	if model.KindOf(err) == model.KindNotFound {
		return model.Errorf(model.KindInvalid, "distinct_id %q names no profile", identifier)
	}
	return err
}
