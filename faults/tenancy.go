package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"carillon/internal/lab"
)

// tenancyStory is two apps with two environments each, whose users have the
// same names, and everybody asks for everything with the ids of everybody else.
// Every piece of data says whose it is, and no answer may hold somebody else's.
// In each environment there is one user more, whom nobody asks for by name: in
// the end her inbox must be as it was.
type tenancyStory struct {
	requests int
	workers  int
	seed     uint64
}

// tenancyReport is what the story found.
type tenancyReport struct {
	forged  int // credentials that were refused
	asked   int64
	answers map[string]*outcomes // by dialect and operation
	took    time.Duration        // 0 when the story ended before its end
}

// outcomes are what became of one operation.
type outcomes struct{ data, refused, busy int }

func (r *tenancyReport) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d forged credentials refused; %d requests", r.forged, r.asked)
	if r.took > 0 {
		fmt.Fprintf(&b, " in %s, none answered with another's data", r.took.Round(time.Second))
	}
	busy := 0
	for i, name := range slices.Sorted(maps.Keys(r.answers)) {
		o := r.answers[name]
		if i%4 == 0 {
			b.WriteString("\n  ")
		}
		fmt.Fprintf(&b, "%s %d of %d; ", name, o.data, o.data+o.refused)
		busy += o.busy
	}
	fmt.Fprintf(&b, "\n  (answers with data, of all); %d were told to come back", busy)
	return b.String()
}

// dialect makes requests of one surface.
type dialect interface {
	// next makes a request by an actor; operation says what it asks for.
	next(ctx context.Context, random *rand.Rand, a *actor) (req *http.Request, operation string, err error)
	// judge reports whether an answer gave data; an error is an answer that
	// nobody should ever get.
	judge(a *actor, status int, body []byte) (data bool, err error)
	// credentials are the headers that an actor may present, each a way.
	credentials(a *actor) []http.Header
	// harvest notes the ids of an answer.
	harvest(a *actor, body []byte)
}

const tenancyUsers = 4

// The users of an environment: u0 … are asked for by everybody there, the quiet
// one by nobody, and transients come and go.
const (
	quiet     = "quiet"
	quietMark = "9"
	shared    = "s"
)

// tenants is everybody.
type tenants struct {
	world  *world
	envs   []*tenant
	actors []*actor
}

// tenant is an environment.
type tenant struct {
	number int
	app    string
	keys   lab.Environment
	// engageKey and engageSecret are of a credential for Engage's dialect.
	engageKey, engageSecret string

	open   bool // front ends may name their user
	bait   []string
	before lab.Inbox // of the quiet user
}

// actor is somebody with a credential: an application, or a user.
type actor struct {
	tenants *tenants
	tenant  *tenant
	user    int // -1: the application
	headers []http.Header
	ids     *idPool
}

// somebody asks next: as often an application as a user, since most of what
// there is may be asked by applications only.
func (all *tenants) somebody(random *rand.Rand) *actor {
	wanted := random.IntN(2) == 0
	for {
		if a := all.actors[random.IntN(len(all.actors))]; a.user < 0 == wanted {
			return a
		}
	}
}

// application is the one of an environment.
func (all *tenants) application(t *tenant) *actor {
	return all.actors[slices.IndexFunc(all.actors, func(a *actor) bool { return a.tenant == t && a.user < 0 })]
}

// mark is how text says whose it is: of an environment, and of a user there or
// of all of them.
func mark(env int, user string) string { return fmt.Sprintf("zq%dx%sz", env, user) }

// mine is the mark of what an actor writes about a user: nobody in particular
// when the application writes to several.
func (a *actor) mine(user string) string {
	switch {
	case a.user >= 0:
		user = fmt.Sprint(a.user)
	case user == quiet:
		user = quietMark
	case len(user) == 2 && user[0] == 'u':
		user = user[1:]
	default:
		user = shared
	}
	return mark(a.tenant.number, user)
}

// foreign looks for a mark that the actor must not see.
func (a *actor) foreign(body []byte) string {
	for rest := body; ; {
		i := bytes.Index(rest, []byte("zq"))
		if i < 0 || len(rest) < i+6 {
			return ""
		}
		m := rest[i : i+6]
		rest = rest[i+2:]
		if m[3] != 'x' || m[5] != 'z' {
			continue
		}
		if m[2] != byte('0'+a.tenant.number) || a.user >= 0 && string(m[4]) != shared && m[4] != byte('0'+a.user) {
			return string(m)
		}
	}
}

// run tells the story on s. The error says which promise was broken.
func (t tenancyStory) run(ctx context.Context, s *lab.Setup) (report *tenancyReport, err error) {
	report = &tenancyReport{answers: map[string]*outcomes{}}
	all, err := t.settle(ctx, s)
	if all != nil {
		defer func() {
			err = all.world.withLogs(err)
			all.world.close()
		}()
	}
	if err != nil {
		return report, err
	}
	if report.forged, err = all.forge(ctx); err != nil {
		return report, err
	}
	dialects, err := dialectsOf(all)
	if err != nil {
		return report, err
	}
	began := time.Now()
	if err := t.ask(ctx, all, dialects, report); err != nil {
		return report, err
	}
	report.took = time.Since(began)
	for _, operation := range ends {
		if o := report.answers[operation]; o != nil && o.data > 0 {
			return report, fmt.Errorf("%s worked %d times on what belongs to another environment", operation, o.data)
		}
	}
	for operation, o := range report.answers {
		if strings.HasSuffix(operation, another) && o.data > 0 {
			return report, fmt.Errorf("%s worked %d times", operation, o.data)
		}
	}
	for _, env := range all.envs {
		if err := env.untouched(ctx, all); err != nil {
			return report, err
		}
	}
	return report, all.world.verify(ctx)
}

// dialectsOf lists the surfaces that are asked.
func dialectsOf(all *tenants) ([]dialect, error) {
	g, err := newGraphAsker(all)
	url := all.world.servers[0].URL
	return []dialect{g, spotAsker{url}, newEngageAsker(url), newFynoAsker(url)}, err
}

// settle makes the environments, a server, and what is theirs.
func (t tenancyStory) settle(ctx context.Context, s *lab.Setup) (*tenants, error) {
	all := &tenants{}
	for i, e := range []struct{ app, kind, auth string }{{"one", "test", "open"}, {"one", "live", "token"}, {"two", "test", "open"}, {"two", "live", "token"}} {
		keys, err := s.CreateAppWith(ctx, e.app, e.kind, e.auth)
		if err != nil {
			return nil, err
		}
		all.envs = append(all.envs, &tenant{number: i, app: e.app, keys: keys, open: e.auth == "open"})
	}
	all.world = &world{setup: s, env: all.envs[0].keys, wanted: tenancyUsers, settings: []string{"MAX_WRONG_CREDENTIALS=0", "RATE_USER=0", "RATE_ADDRESS=0"}}
	if _, err := all.world.start(ctx); err != nil {
		return all, err
	}
	for i, e := range []struct{ app, kind string }{{"one", "test"}, {"one", "live"}, {"two", "test"}, {"two", "live"}} {
		env := all.envs[i]
		app := &actor{tenants: all, tenant: env, user: -1, ids: newIDPool()}
		app.headers = []http.Header{{"Authorization": {"Bearer " + env.keys.SecretKey}}}
		all.actors = append(all.actors, app)
		for u := range tenancyUsers {
			name := fmt.Sprintf("u%d", u)
			token, err := s.Token(ctx, e.app, e.kind, name)
			if err != nil {
				return all, err
			}
			a := &actor{tenants: all, tenant: env, user: u, ids: newIDPool()}
			a.headers = []http.Header{{"Authorization": {"Bearer " + token}}}
			if env.open {
				a.headers = append(a.headers, http.Header{"X-Carillon-Key": {env.keys.APIKey}, "X-Carillon-User": {name}})
			}
			all.actors = append(all.actors, a)
		}
		if err := env.begin(ctx, all, app); err != nil {
			return all, err
		}
	}
	return all, nil
}

// begin gives everybody in an environment something of their own.
func (e *tenant) begin(ctx context.Context, all *tenants, app *actor) error {
	c := lab.NewClient(all.world.servers[0].URL, e.keys.SecretKey)
	defer c.Close()
	names := []string{quiet}
	for u := range tenancyUsers {
		names = append(names, fmt.Sprintf("u%d", u))
	}
	do := func(mutation, input string, in map[string]any) error {
		var out any
		return c.Do(ctx, "mutation ($in: "+input+"!) { "+mutation+"(input: $in) { userErrors { message } } }", map[string]any{"in": in}, &out)
	}
	var made struct {
		CreateCredential struct {
			Credential struct{ ID string }
			Secret     string
		}
	}
	if err := c.Do(ctx, "mutation { createCredential(input: {kind: ENGAGE}) { credential { id } secret } }", nil, &made); err != nil {
		return err
	}
	e.engageKey, e.engageSecret = made.CreateCredential.Credential.ID, made.CreateCredential.Secret
	for n := range tenancyUsers {
		if err := do("identifyUser", "IdentifyUserInput", map[string]any{"identifier": fmt.Sprintf("a%d", n), "firstName": app.mine("")}); err != nil {
			return err
		}
	}
	if err := do("createProvider", "CreateProviderInput", map[string]any{"kind": "log", "channel": "EMAIL", "name": app.mine("")}); err != nil {
		return err
	}
	if err := e.furnish(ctx, c, app, do); err != nil {
		return err
	}
	for _, name := range names {
		in := map[string]any{"identifier": name, "firstName": app.mine(name), "email": app.mine(name) + "@example.com"}
		if err := do("identifyUser", "IdentifyUserInput", in); err != nil {
			return err
		}
		for n := range 5 {
			id, _, err := c.Send(ctx, []string{name}, fmt.Sprintf("%s %d", app.mine(name), n), fmt.Sprintf("begin-%s-%d", name, n))
			if err != nil {
				return err
			}
			if name == quiet { // an application may edit and recall what it sent
				app.ids.except(id)
			}
		}
	}
	for n := range tenancyUsers {
		for d := range tenancyUsers {
			in := map[string]any{"user": fmt.Sprintf("u%d", n), "deviceId": fmt.Sprintf("d%d", d), "platform": "IOS"}
			if err := do("registerDevice", "RegisterDeviceInput", in); err != nil {
				return err
			}
		}
	}
	var err error
	e.before, err = c.Inbox(ctx, quiet, true)
	for _, n := range e.before.Items {
		e.bait = append(e.bait, n.ID)
	}
	app.ids.except(e.bait...)
	return err
}

// furnish makes what is seldom made by chance.
func (e *tenant) furnish(ctx context.Context, c *lab.Client, app *actor, do func(mutation, input string, in map[string]any) error) error {
	for _, make := range []struct {
		mutation, input string
		in              map[string]any
	}{
		{"createSegment", "CreateSegmentInput", map[string]any{"identifier": "s0", "name": app.mine(""), "rule": map[string]any{"enabled": true}}},
		{"createLayout", "CreateLayoutInput", map[string]any{"identifier": "l0", "name": app.mine(""), "content": map[string]any{"text": app.mine("") + " {{content}}"}}},
		{"createTemplate", "CreateTemplateInput", map[string]any{"identifier": "m0", "name": app.mine(""), "content": map[string]any{"title": app.mine("")}}},
		{"createWebhookEndpoint", "CreateWebhookEndpointInput", map[string]any{"url": "https://example.com/" + app.mine(""), "types": []string{"user.*"}, "enabled": false}},
	} {
		if err := do(make.mutation, make.input, make.in); err != nil {
			return err
		}
	}
	i, err := c.Upload(ctx, strings.NewReader("identifier,firstName\nx0,"+app.mine("")+"\n"))
	app.ids.add("Import", i.ID)
	return err
}

// untouched compares what the quiet user had with what she has. More may have
// come, since everyone may be sent to.
func (e *tenant) untouched(ctx context.Context, all *tenants) error {
	c := lab.NewClient(all.world.servers[0].URL, e.keys.SecretKey)
	defer c.Close()
	now, err := c.Inbox(ctx, quiet, true)
	if err != nil {
		return err
	}
	for _, n := range e.before.Items {
		if !slices.Contains(now.Items, n) {
			return fmt.Errorf("environment %d: %+v of the user whom nobody asks for was changed by somebody", e.number, n)
		}
	}
	return nil
}

// ask has workers ask until there were enough requests.
func (t tenancyStory) ask(ctx context.Context, all *tenants, dialects []dialect, report *tenancyReport) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: t.workers, DisableCompression: true}}
	defer client.CloseIdleConnections()
	var (
		asked atomic.Int64
		mu    sync.Mutex
		wg    sync.WaitGroup
	)
	for w := range t.workers {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(t.seed, uint64(w)))
			counts := map[string]*outcomes{}
			for ctx.Err() == nil && asked.Add(1) <= int64(t.requests) {
				d := dialects[random.IntN(len(dialects))]
				a := all.somebody(random)
				if _, only := d.(interface{ forApplications() }); only && a.user >= 0 && random.IntN(8) > 0 {
					a = all.application(a.tenant)
				}
				if err := a.askOnce(ctx, client, d, random, counts); err != nil && ctx.Err() == nil {
					cancel(err)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			for name, o := range counts {
				sum := report.answers[name]
				if sum == nil {
					sum = new(outcomes)
					report.answers[name] = sum
				}
				sum.data += o.data
				sum.refused += o.refused
				sum.busy += o.busy
				report.asked += int64(o.data + o.refused + o.busy)
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// askOnce makes one request and looks at the answer.
func (a *actor) askOnce(ctx context.Context, client *http.Client, d dialect, random *rand.Rand, counts map[string]*outcomes) error {
	req, operation, err := d.next(ctx, random, a)
	if err != nil {
		return err
	}
	ways := d.credentials(a)
	maps.Copy(req.Header, ways[random.IntN(len(ways))])
	said := ""
	if req.GetBody != nil {
		body, _ := req.GetBody() // what was given
		raw, _ := io.ReadAll(body)
		said = string(raw)
	}
	status, body, err := fetch(client, req)
	if errors.Is(err, syscall.ECONNRESET) {
		// A server closes connections on which nothing is asked for a while, and
		// may just do so when something is.
		outcomesOf(counts, operation).busy++
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", operation, said, err)
	}
	if m := a.foreign(body); m != "" {
		return fmt.Errorf("user %d of environment %d asked %s and was told of %s:\n%s\n%s", a.user, a.tenant.number, operation, m, said, body)
	}
	o := outcomesOf(counts, operation)
	if status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests {
		o.busy++
		return nil
	}
	data, err := d.judge(a, status, body)
	if err != nil {
		return fmt.Errorf("user %d of environment %d asked %s: %w\n%s\n%s", a.user, a.tenant.number, operation, err, said, body)
	}
	if !data {
		o.refused++
		return nil
	}
	if o.data++; random.IntN(2) == 0 {
		d.harvest(a, body)
	}
	return nil
}

func outcomesOf(counts map[string]*outcomes, operation string) *outcomes {
	if counts[operation] == nil {
		counts[operation] = new(outcomes)
	}
	return counts[operation]
}

// answerLimit is far above any answer; of a stream, what comes at once is read.
const answerLimit = 8 << 20

func fetch(client *http.Client, req *http.Request) (status int, body []byte, err error) {
	res, err := client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	if strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		body, err = firstEvent(res.Body)
		return res.StatusCode, body, err
	}
	body, err = io.ReadAll(io.LimitReader(res.Body, answerLimit))
	return res.StatusCode, body, err
}

// firstEvent reads a stream to the end of its first event.
func firstEvent(r io.Reader) (all []byte, err error) {
	room := make([]byte, 32<<10)
	for !bytes.Contains(all, []byte("\n\n")) || !bytes.Contains(all, []byte("data:")) {
		n, err := r.Read(room)
		all = append(all, room[:n]...)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
	}
	return all, nil
}
