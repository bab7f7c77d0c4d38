package archtest

// Names for what several lines below have in common.
const (
	// services hold the rules. None imports another, except as listed.
	services = " notify inbox user audience catalog app delivery webhook "
	// tools are not about notifications; any package above the ground may use them.
	tools = " internal/id internal/cursor internal/seal internal/dial internal/signature "
	// surface is what a surface, which translates, may use.
	surface = " model auth internal/reqlog " + services + tools
	// anything stands for every package of this module that is not for tests.
	anything = "*"
)

// imports says which packages of this module a package may import, outside of
// its tests. A name that ends in /... stands for the package and all below it; a
// package with a line of its own goes by that. A line may be there before its
// package.
var imports = map[string]string{
	// The ground: nouns, limits and the database's shape.
	"model":      "",
	"migrations": "",

	// Tools.
	"internal/archtest":  "",
	"internal/config":    "model",
	"internal/cursor":    "model",
	"internal/dial":      "",
	"internal/door":      "",
	"internal/id":        "model",
	"internal/metrics":   "model",
	"internal/ratelimit": "",
	"internal/reqlog":    "model internal/id",
	"internal/seal":      "model",
	"internal/shed":      "model",
	"internal/signature": "",
	"internal/websocket": "",

	// Floor 1: one duty each, none knows another.
	"auth":       "model" + tools,
	"live":       "model" + tools,
	"live/redis": "model live" + tools,
	"preference": "model" + tools,
	"render":     "model" + tools,
	"store":      "model migrations" + tools,

	// Floor 2: the services and the delivery engine. They get the store through
	// interfaces of their own, so none of them imports it.
	"app":          "model auth" + tools,
	"audience":     "model" + tools,
	"catalog":      "model render" + tools,
	"delivery":     "model live preference render" + tools,
	"delivery/...": "model delivery" + tools, // a provider each
	"inbox":        "model live" + tools,
	"notify":       "model live preference audience" + tools,
	"user":         "model preference" + tools,
	"webhook":      "model delivery" + tools, // the schedule of webhooks, and what answers mean

	// Floor 3: the surfaces. They translate.
	"graph":                    surface + "internal/admission internal/door internal/shed graph/generated graph/operation graph/plan graph/transport graph/view graph/internal/...",
	"graph/generated":          "model delivery graph/view graph/internal/...",
	"graph/internal/...":       "model",
	"graph/operation":          "model graph/internal/..." + tools,
	"graph/plan":               "model graph/view" + tools,
	"graph/transport":          "model auth internal/reqlog internal/shed internal/websocket graph/operation graph/internal/..." + tools,
	"graph/view":               "model delivery graph/internal/..." + tools,
	"playground":               "internal/reqlog",
	"internal/admission":       "model auth internal/ratelimit internal/shed", // before all of them
	"rest":                     surface + "internal/admission internal/shed",
	"rest/engage":              surface + "rest internal/admission internal/shed",
	"rest/engagespot":          surface + "rest live internal/admission internal/shed rest/engagespot/socketio",
	"rest/engagespot/socketio": "model internal/id internal/websocket",
	"rest/fyno":                surface + "rest internal/admission internal/shed",
	"rest/receipts":            surface + "rest internal/admission internal/shed",
	"rest/people":              surface + "rest internal/admission internal/shed",
	"rest/ops":                 "model rest internal/reqlog internal/metrics",

	// The program: the only place that knows every package.
	".": anything,

	// Tests, benchmarks and faults: see testPackages.
	"auth/authtest":             anything,
	"bench/...":                 anything,
	"delivery/deliverytest":     anything,
	"faults/...":                anything,
	"graph/internal/testschema": anything,
	"internal/dial/dialtest":    "",
	"internal/lab":              "",
	"live/livetest":             anything,
	"store/storetest":           anything,
}

// testPackages serve tests and measurements: they may import any dependency, such
// as a driver, and no other package may import them.
const testPackages = "auth/authtest bench/... delivery/deliverytest faults/... graph/internal/testschema internal/archtest " +
	"internal/dial/dialtest internal/lab live/livetest store/storetest"

// owners says which packages may import a module that is not ours; a line covers
// the modules below its path too. A new line comes with a note in docs/adr.
var owners = map[string]string{
	"github.com/99designs/gqlgen":         "graph/...",
	"github.com/caarlos0/env/v11":         "internal/config",
	"github.com/emersion/go-sasl":         "delivery/smtp", // its tests
	"github.com/emersion/go-smtp":         "delivery/smtp", // its tests
	"github.com/gobwas/ws":                "graph/transport internal/websocket rest/engagespot/socketio",
	"github.com/golang-jwt/jwt/v5":        "auth delivery/apns delivery/fcm delivery/webpush",
	"github.com/jackc/pgx/v5":             "store",
	"github.com/prometheus/client_golang": "internal/metrics rest/ops",
	"github.com/redis/go-redis/v9":        "live/redis",
	"github.com/uptrace/bun":              "store",
	"github.com/vektah/gqlparser/v2":      "graph/...",
	"github.com/wneessen/go-mail":         "delivery/smtp",
	"modernc.org/sqlite":                  "store",
}
