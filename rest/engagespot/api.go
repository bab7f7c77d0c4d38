package engagespot

import (
	"log/slog"
	"strings"
	"time"

	"carillon/auth"
	"carillon/internal/admission"
	"carillon/internal/shed"
	"carillon/rest"
)

// Config is what the dialect is made of. The services and Gate are required.
type Config struct {
	Inbox   Inbox
	Sends   Sends
	Users   Users
	Topics  Topics
	Apps    Apps
	Catalog Catalog

	Gate      *auth.Gate      // its Refuse is not used
	Admission *admission.Desk // nil bounds nothing
	Timeout   time.Duration   // of one request; zero: 10 s
	Log       *slog.Logger    // nil: slog's default
}

// API is the dialect.
type API struct {
	Config
	surface *rest.Surface
}

// New makes the dialect.
func New(c Config) *API {
	a := &API{Config: c}
	a.surface = &rest.Surface{
		Name: "engagespot", Authenticate: a.authenticate, Source: c.Gate.Source, Admission: c.Admission,
		Envelope: envelope, Secret: headerSecret, Headers: requestHeaders, Timeout: c.Timeout, Log: c.Log,
	}
	return a
}

// Mount adds the routes.
func (a *API) Mount(t *rest.Router) {
	t.Own("/v3", a.surface)
	t.Own("/v4", a.surface)
	for pattern, r := range a.routes() {
		t.Handle(a.surface, pattern, r.access, r.handle)
		// Newer PHP clients add the version to their base URL, and so ask for it
		// twice when it has it already.
		t.Handle(a.surface, strings.Replace(pattern, " /", " /v3/", 1), r.access, r.handle)
	}
}

// sendWithin is how long a send may take: its attachments have to arrive.
const sendWithin = 30 * time.Second

type route struct {
	access rest.Access
	handle rest.Handler
}

// Who may use a route: an application, a user, or either.
var (
	byApp     = rest.Access{Allow: onlyApp, Class: shed.Sending}
	sending   = rest.Access{Allow: onlyApp, Class: shed.Sending, Within: sendWithin}
	byUser    = rest.Access{Allow: onlyUser}
	byEither  = rest.Access{}
	byAnybody = rest.Access{Open: true}
)

// routes are the routes by pattern. "By either" is by an application too, which
// acts on a notification without saying whose it is.
func (a *API) routes() map[string]route {
	return map[string]route{
		"POST /v3/sdk/connect":               {byUser, a.connect},
		"POST /v3/sdk/realtimeTokenRequests": {byUser, a.realtimeToken},

		"POST /v3/notifications":              {sending, a.send},
		"GET /v3/notifications":               {byEither, a.list},
		"GET /v3/notifications/{id}":          {byUser, a.get},
		"DELETE /v3/notifications/{id}":       {byEither, a.remove},
		"POST /v3/notifications/{id}/click":   {byEither, a.click},
		"PATCH /v3/notifications/{id}/click":  {byEither, a.click},
		"POST /v3/notifications/{id}/views":   {byUser, a.view},
		"DELETE /v3/notifications/{id}/views": {byEither, a.unview},
		"DELETE /v3/notifications/{id}/reads": {byEither, a.unread},
		"PUT /v3/notifications/{id}/state":    {byUser, a.setState},

		"POST /v3/notifications/markAllNotificationsAsSeen":    {byUser, a.allSeen},
		"POST /v3/notifications/markAllNotificationsAsRead":    {byUser, a.allRead},
		"POST /v3/notifications/markAllNotificationsAsDeleted": {byUser, a.allDeleted},

		"GET /v3/profile":       {byUser, a.getProfile},
		"PUT /v3/profile":       {byUser, a.putProfile},
		"PATCH /v3/profile":     {byUser, a.patchProfile},
		"GET /v3/preferences":   {byUser, a.preferences},
		"PATCH /v3/preferences": {byUser, a.patchPreferences},

		"GET /v3/categories":                       {byEither, a.categories},
		"POST /v3/categories":                      {byApp, a.createCategory},
		"DELETE /v3/categories/{id}":               {byApp, a.deleteCategory},
		"POST /v3/notifications/categories":        {byApp, a.createCategory},
		"DELETE /v3/notifications/categories/{id}": {byApp, a.deleteCategory},

		"POST /v3/users":                {byApp, a.createUser},
		"PUT /v3/users/{identifier}":    {byApp, a.putUser},
		"DELETE /v3/users/{identifier}": {byApp, a.deleteUser},
		"DELETE /v3/users{identifier}":  {byApp, a.deleteUser}, // as the Node client asks

		"POST /v3/topics":                           {byApp, a.createTopic},
		"PATCH /v3/topics/{id}":                     {byApp, a.updateTopic},
		"DELETE /v3/topics/{id}":                    {byApp, a.deleteTopic},
		"POST /v3/topics/{id}/users":                {byApp, a.subscribe},
		"POST /v3/topics/{id}/detachUsers":          {byApp, a.unsubscribe},
		"PUT /v3/topics/{id}/users/{identifier}":    {byApp, a.setTopicChannels},
		"GET /v3/topics/subscriptions/{identifier}": {byApp, a.subscriptions},

		"PATCH /v3/workflows/{identifier}":            {byApp, a.cancelWorkflow},
		"POST /v3/workflows/{identifier}":             {byApp, a.cancelWorkflow},
		"PATCH /v3/workflows/{identifier}/cancel-run": {byApp, a.cancelWorkflow},
		"POST /v3/workflows/{identifier}/cancel-run":  {byApp, a.cancelWorkflow},
		"PATCH /v4/workflows/{identifier}":            {byApp, a.cancelWorkflow},
		"POST /v4/workflows/{identifier}":             {byApp, a.cancelWorkflow},
		"PATCH /v4/workflows/{identifier}/cancel-run": {byApp, a.cancelWorkflow},
		"POST /v4/workflows/{identifier}/cancel-run":  {byApp, a.cancelWorkflow},

		"POST /v3/devices/{deviceId}/webPushSubscription": {byUser, a.registerWebPush},
		"GET /v3/translations/inapp":                      {byAnybody, a.translation},
	}
}
