package graph_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"carillon/model"
	"carillon/store/storetest"
)

var (
	dryWorlds = flag.Uint64("worlds", 1, "how many random worlds TestDryRunsAreWhatIsSent makes")
	drySeed   = flag.Uint64("seed", 1, "the seed of the first of these worlds")
)

// TestDryRunsAreWhatIsSent makes random requests in random worlds over the API,
// each as a dry run and then in earnest. What the dry run says of every recipient
// and channel (whether, by which rule with the whole ladder, to which addresses,
// and whom it leaves out) is what is found of the send: its answer, what
// explainDelivery tells, its deliveries and when they are due, the inbox, and
// what the providers are handed in the end.
func TestDryRunsAreWhatIsSent(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		w := emptyWorld(t, url)
		seen, plans := map[string]int{}, 0
		var worlds []*dryWorld
		for seed := *drySeed; seed < *drySeed+*dryWorlds && !t.Failed(); seed++ {
			d := newDryWorld(t, w, seed)
			for i := range 5 {
				plans += d.compare(i, seen)
			}
			worlds = append(worlds, d)
			if t.Failed() {
				t.Errorf("again: go test ./graph -run TestDryRunsAreWhatIsSent -seed %d", seed)
			}
		}
		w.run(w.delivery.Run)
		for _, d := range worlds {
			d.compareTaken()
		}
		if len(seen) < 7 {
			t.Errorf("only these rules decided anything: %v", seen)
		}
		t.Logf("%d recipients were planned; by rule: %v", plans, seen)
	})
}

// dryWorld is an environment with random people in it, and makes requests.
type dryWorld struct {
	*world
	t          *testing.T
	r          *rand.Rand
	name       string
	matter     []string
	categories []string
	paused     []string  // channels of which every provider is paused
	began      time.Time // when the last send was asked for, by the clock of the machine
	want, late []string  // what providers are handed, and what they may be
}

// dryChannels are those that people may have addresses for.
var dryChannels = []string{"IN_APP", "EMAIL", "SMS", "WHATSAPP", "MOBILE_PUSH", "WEB_PUSH", "SLACK", "DISCORD", "TEAMS", "VOICE", "WEBHOOK"}

func (w *dryWorld) coin() bool        { return w.r.IntN(2) == 0 }
func (w *dryWorld) oneIn(n int) bool  { return w.r.IntN(n) == 0 }
func (w *dryWorld) user(n int) string { return fmt.Sprint("user-", w.r.IntN(n)) }

// outside is a channel, mostly one of the few that matter in this world.
func (w *dryWorld) outside() string {
	if w.oneIn(6) {
		return dryChannels[1+w.r.IntN(len(dryChannels)-1)]
	}
	return w.matter[w.r.IntN(len(w.matter))]
}

// some is each channel with the odds of one in n.
func (w *dryWorld) some(n int) []string {
	out := []string{}
	for _, c := range dryChannels {
		if w.oneIn(n) {
			out = append(out, c)
		}
	}
	return out
}

// fields is the variables of an operation, or a part of them.
type fields = map[string]any

// ask asks as the application, with input as the variable of that name, and
// decodes the data into out, which may be nil.
func (w *dryWorld) ask(query string, input fields, out any) {
	w.t.Helper()
	variables := must(json.Marshal(fields{"input": input}))(w.t)
	_, body := w.post(w.t, request{as: w.name, query: query, variables: variables}, nil)
	var answer struct {
		Data   json.RawMessage
		Errors []any
	}
	err := json.Unmarshal(body, &answer)
	if err == nil && out != nil {
		err = json.Unmarshal(answer.Data, out)
	}
	if err != nil || len(answer.Errors) > 0 || out == nil && strings.Contains(string(body), `"userErrors":[{`) {
		w.t.Fatalf("%s %s: %s, %v", query, variables, body, err)
	}
}

// change asks for a mutation whose answer does not matter.
func (w *dryWorld) change(mutation string, input fields) {
	w.t.Helper()
	w.ask(fmt.Sprintf("mutation ($input: %s%sInput!) { %s(input: $input) { userErrors { path message } } }", strings.ToUpper(mutation[:1]), mutation[1:], mutation), input, nil)
}

func newDryWorld(t *testing.T, in *world, seed uint64) *dryWorld {
	t.Helper()
	w := &dryWorld{world: in, t: t, r: rand.New(rand.NewPCG(seed, 6)), name: fmt.Sprint("dry-", seed)}
	for _, i := range w.r.Perm(len(dryChannels) - 1)[:4] {
		w.matter = append(w.matter, dryChannels[i+1])
	}
	var settings model.EnvSettings
	for _, c := range w.some(16) {
		settings.ChannelsOff = append(settings.ChannelsOff, channelNamed(t, c))
	}
	w.addEnvWith(w.name, model.AuthOpen, settings)
	w.providers()
	for i := range 3 {
		defaults := []fields{}
		for _, c := range w.some(4) {
			defaults = append(defaults, fields{"channel": c, "enabled": w.coin()})
		}
		w.categories = append(w.categories, fmt.Sprint("category-", i))
		w.change("createCategory", fields{"identifier": w.categories[i], "name": "C", "defaultEnabled": w.coin(), "channelDefaults": defaults})
	}
	for i := range 8 {
		w.person(fmt.Sprint("user-", i), i)
	}
	for _, c := range w.categories { // afterwards, so that people have chosen otherwise
		w.change("updateCategory", fields{"identifier": c, "requiredChannels": w.some(9)})
	}
	for i, topic := range []string{"one", "two"} {
		w.change("createTopic", fields{"identifier": topic, "name": "T"})
		w.change("subscribeToTopic", fields{"topic": topic, "users": w.subscribers()})
		rule := fields{"any": []fields{{"identifierPrefix": w.user(8)}, {"identifierPrefix": w.user(8)}, {"topic": topic}}}
		if i > 0 {
			rule = fields{"all": []fields{{"reachable": w.outside()}, {"enabled": true}}}
		}
		w.change("createSegment", fields{"identifier": topic, "name": "S", "rule": rule})
		for range w.r.IntN(4) {
			w.change("setSegmentSuppression", fields{"segment": topic, "user": w.user(8), "suppressed": true})
		}
	}
	return w
}

func channelNamed(t *testing.T, name string) model.Channel {
	t.Helper()
	for _, c := range model.Channels() {
		if c.String() == name {
			return c
		}
	}
	t.Fatalf("no channel %s", name)
	return 0
}

// providers gives each channel none to two, some of which are disabled or
// paused.
func (w *dryWorld) providers() {
	for _, c := range dryChannels[1:] {
		going, paused := 0, 0
		for range w.r.IntN(3) {
			var made struct {
				CreateProvider struct{ Provider struct{ ID string } }
			}
			enabled := !w.oneIn(5)
			w.ask(`mutation ($input: CreateProviderInput!) { createProvider(input: $input) { provider { id } userErrors { message } } }`,
				fields{"kind": "recorder", "channel": c, "enabled": enabled, "secrets": fields{"token": "t"}}, &made)
			if pause := w.oneIn(5); pause {
				w.change("updateProvider", fields{"id": made.CreateProvider.Provider.ID, "paused": true})
				paused++
			} else if enabled {
				going++
			}
		}
		if going == 0 && paused > 0 {
			w.paused = append(w.paused, c)
		}
	}
}

// person makes a user with random ways of being reached, some of them
// suppressed, and random choices.
func (w *dryWorld) person(name string, i int) {
	in, held := fields{"identifier": name}, map[string][]string{}
	if w.coin() {
		in["email"] = name + "@example.com"
		held["EMAIL"] = append(held["EMAIL"], name+"@example.com")
	}
	if w.coin() {
		phone := fmt.Sprintf("+49301234%03d", i)
		in["phoneNumber"] = phone
		held["SMS"], held["VOICE"] = append(held["SMS"], phone), append(held["VOICE"], phone)
	}
	w.change("identifyUser", in)
	if w.coin() {
		w.change("registerDevice", fields{"user": name, "deviceId": "phone", "platform": "ANDROID", "token": "token-" + name, "enabled": !w.oneIn(5)})
		held["MOBILE_PUSH"] = append(held["MOBILE_PUSH"], "token-"+name)
	}
	for n := range w.r.IntN(5) {
		c := w.outside()
		address := fmt.Sprintf("https://example.com/%s/%d", name, n)
		switch c {
		case "EMAIL":
			address = fmt.Sprintf("%d-%s@example.com", n, name)
		case "SMS", "WHATSAPP", "VOICE":
			address = fmt.Sprintf("+4930%d234%03d", n+2, i)
		case "WEB_PUSH", "MOBILE_PUSH": // which only devices have
			continue
		}
		w.change("addAddress", fields{"user": name, "channel": c, "address": address, "enabled": !w.oneIn(5)})
		held[c] = append(held[c], address)
	}
	for _, c := range slices.Sorted(maps.Keys(held)) {
		for _, address := range held[c] {
			if w.oneIn(5) {
				w.change("suppressAddress", fields{"channel": c, "address": address})
			}
		}
	}
	w.chooses(name)
	if w.oneIn(7) {
		w.change("setUserEnabled", fields{"user": name, "enabled": false})
	}
}

func (w *dryWorld) chooses(name string) {
	changes := []fields{}
	for _, category := range append([]string{""}, w.categories...) {
		for _, c := range append(w.some(7), "") {
			change := fields{"enabled": w.coin()}
			if category != "" {
				change["category"] = category
			}
			if c != "" {
				change["channel"] = c
			}
			if w.oneIn(3) && len(change) > 1 {
				changes = append(changes, change)
			}
		}
	}
	if len(changes) > 0 {
		w.change("setPreferences", fields{"user": name, "changes": changes})
	}
}

func (w *dryWorld) subscribers() []fields {
	out := []fields{{"identifier": "user-0"}}
	for i := range 8 {
		one := fields{"identifier": fmt.Sprint("user-", i), "subscribed": !w.oneIn(6)}
		if w.coin() {
			one["channels"] = w.some(3)
		}
		if w.coin() {
			out = append(out, one)
		}
	}
	return out
}

// request is the input of a send.
func (w *dryWorld) request(i int) fields {
	title := fmt.Sprintf("%s-%d", w.name, i)
	to, users := fields{}, []string{}
	for range 1 + w.r.IntN(5) {
		users = append(users, w.user(10))
	}
	to["users"] = users
	if w.oneIn(4) {
		name := w.user(12)
		to["inlineUsers"] = []fields{{"identifier": name, "email": "inline-" + name + "@example.com"}, {"identifier": fmt.Sprintf("new-%d", i), "phoneNumber": fmt.Sprintf("+493099%04d", i)}}
	}
	switch w.r.IntN(7) {
	case 0:
		to["topics"] = []string{"one", "two"}
	case 1:
		to["topics"] = []string{"two"}
		delete(to, "users")
	case 2:
		to["segments"] = []string{"one", "two"}
		delete(to, "users")
	case 3:
		to["everyone"] = true
	}
	in := fields{"to": to, "title": title, "onUnknown": []string{"SKIP", "SKIP", "REJECT", "CREATE"}[w.r.IntN(4)]}
	if w.oneIn(3) {
		in["channels"] = w.some(2)
	}
	if !w.oneIn(3) {
		in["category"] = w.categories[w.r.IntN(len(w.categories))]
	}
	in["escalations"] = w.escalations(i)
	if w.oneIn(3) {
		in["overrides"] = []fields{{"channel": w.outside(), "title": "O-" + title}, {"provider": "recorder", "body": "another"}}
	}
	if w.oneIn(5) {
		in["sendAt"] = w.clock.Now().Add(time.Hour).Format(time.RFC3339)
	}
	return in
}

func (w *dryWorld) escalations(i int) []fields {
	out := []fields{}
	for _, c := range w.some(5) {
		if c != "IN_APP" {
			out = append(out, fields{"channel": c, "afterSeconds": 60 * (1 + w.r.IntN(3)), "unless": []string{"SEEN", "READ"}[i%2]})
		}
	}
	return out
}

// dryAnswer is what a send answers, as a dry run and in earnest.
type dryAnswer struct {
	Send *struct{ ID string }
	Plan []struct {
		Identifier   string
		Notification *struct{ ID string }
		Channels     []struct {
			Channel   string
			Decision  decided
			Addresses []string
		}
	}
	Skipped    []skippedOne
	UserErrors json.RawMessage
}

// decided is a Decision.
type decided struct {
	Allowed bool
	Reason  string
	Ladder  []struct{ Reason, Outcome, Detail string }
}

// String is the decision with the rules that were asked.
func (d decided) String() string {
	var b strings.Builder
	fmt.Fprint(&b, d.Allowed, " by ", d.Reason)
	for _, r := range d.Ladder {
		if r.Outcome != "NOT_REACHED" {
			fmt.Fprintf(&b, "; %s %s %s", r.Reason, r.Outcome, r.Detail)
		}
	}
	return b.String()
}

const dryDecision = `{ allowed reason ladder { reason outcome detail } }`

func (w *dryWorld) send(in fields) dryAnswer {
	w.t.Helper()
	var out struct{ SendNotification dryAnswer }
	w.ask(`mutation ($input: SendNotificationInput!) { sendNotification(input: $input) { send { id } plan { identifier notification { id } channels { channel addresses decision `+dryDecision+` } }
		skipped { identifier reason } userErrors { code path message } } }`, in, &out)
	return out.SendNotification
}

// compare makes one request twice, and returns how many recipients it has.
func (w *dryWorld) compare(i int, seen map[string]int) int {
	w.t.Helper()
	in := w.request(i)
	in["dryRun"] = true
	dry := w.send(in)
	in["dryRun"] = false
	w.began = time.Now()
	sent := w.send(in)
	what := encode(in)
	if dry.Send != nil || string(dry.UserErrors) != string(sent.UserErrors) {
		w.t.Errorf("%s: the dry run says %s, the send %s", what, encode(dry), sent.UserErrors)
	}
	if sent.Send == nil {
		return 0
	}
	at, scheduled := in["sendAt"]
	if scheduled {
		w.clock.pass(must(time.Parse(time.RFC3339, at.(string)))(w.t).Sub(w.clock.Now()))
		must(w.sends.FireDue(w.t.Context()))(w.t)
	}
	if err := w.sends.ExpandAll(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	w.forget(in)
	planned, kept := w.planned(in, dry, seen), w.kept(sent.Send.ID, dry)
	if !slices.Equal(planned, kept) {
		w.t.Errorf("%s:\nplanned %s\nkept    %s", what, strings.Join(lacking(planned, kept), "\n        "), strings.Join(lacking(kept, planned), "\n        "))
	}
	w.compareAnswers(what, scheduled, dry, sent)
	w.clock.pass(time.Second)
	return len(dry.Plan)
}

// lacking is what of a list another lacks.
func lacking[T comparable](list, other []T) []T {
	return slices.DeleteFunc(slices.Clone(list), func(x T) bool { return slices.Contains(other, x) })
}

// compareAnswers compares what the send itself answered, which is the plan of
// those who are named, when it is so soon known.
func (w *dryWorld) compareAnswers(what string, scheduled bool, dry, sent dryAnswer) {
	w.t.Helper()
	all := map[string]string{}
	for _, p := range dry.Plan {
		for _, c := range p.Channels {
			all[p.Identifier+" "+c.Channel] = c.Decision.String()
		}
	}
	for _, p := range sent.Plan {
		for _, c := range p.Channels {
			if got := all[p.Identifier+" "+c.Channel]; got != c.Decision.String() {
				w.t.Errorf("%s: %s over %s: planned %s, answered %s", what, p.Identifier, c.Channel, got, c.Decision)
			}
		}
	}
	var now struct {
		Send struct {
			Skipped  []skippedOne
			Progress struct{ Total, Done, Skipped int }
		}
	}
	w.ask(fmt.Sprintf(`{ send(id: %q) { skipped { identifier reason } progress { total done skipped } } }`, sent.Send.ID), nil, &now)
	leftOut := dry.Skipped
	if scheduled { // nobody is left out by now but those whom nobody knows; the others are by the plan
		leftOut = append(slices.Clone(leftOut), w.unreached(dry, now.Send.Skipped)...)
	}
	if p := now.Send.Progress; p.Skipped != len(leftOut) || p.Done != p.Total-p.Skipped {
		w.t.Errorf("%s: it counts %+v, left out were to be %v", what, p, leftOut)
	}
	if x := lacking(now.Send.Skipped, leftOut); len(x) > 0 {
		w.t.Errorf("%s: left out are %v, which were not to be", what, x)
	}
	if x := lacking(leftOut, now.Send.Skipped); len(x) > 0 && len(sent.Plan) > 0 {
		w.t.Errorf("%s: not left out are %v, which were to be", what, x)
	}
}

// unreached are those whom a plan has no channel for. Why is said by the inbox,
// or, where that is off, by what was said of them.
func (w *dryWorld) unreached(dry dryAnswer, said []skippedOne) (out []skippedOne) {
	for _, p := range dry.Plan {
		one := skippedOne{Identifier: p.Identifier}
		if i := slices.IndexFunc(said, func(x skippedOne) bool { return x.Identifier == p.Identifier }); i >= 0 {
			one.Reason = said[i].Reason
		}
		reached := false
		for _, c := range p.Channels {
			reached = reached || c.Decision.Allowed
			if c.Channel == "IN_APP" {
				one.Reason = c.Decision.Reason
			}
		}
		if !reached {
			out = append(out, one)
		}
	}
	return out
}

// skippedOne is somebody whom a send leaves out.
type skippedOne struct{ Identifier, Reason string }

// planned is what a dry run tells, a line for every recipient and channel. It
// notes what the providers are to be handed.
func (w *dryWorld) planned(in fields, dry dryAnswer, seen map[string]int) (lines []string) {
	w.t.Helper()
	after := map[string]int{}
	for _, e := range in["escalations"].([]fields) {
		after[e["channel"].(string)] = e["afterSeconds"].(int)
	}
	title := func(c string) string {
		if list, ok := in["overrides"].([]fields); ok && list[0]["channel"] == c {
			return list[0]["title"].(string)
		}
		return in["title"].(string)
	}
	for _, p := range dry.Plan {
		for _, c := range p.Channels {
			seen[c.Decision.Reason]++
			to := []string{}
			for _, a := range c.Addresses {
				to = append(to, fmt.Sprintf("%s in %ds", a, after[c.Channel]))
				message := fmt.Sprintf("%s to %s at %s %s", title(c.Channel), p.Identifier, c.Channel, a)
				switch {
				case slices.Contains(w.paused, c.Channel): // never, as things are
				case after[c.Channel] > 0:
					w.late = append(w.late, message)
				default:
					w.want = append(w.want, message)
				}
			}
			slices.Sort(to)
			lines = append(lines, fmt.Sprint(p.Identifier, " ", c.Channel, " ", c.Decision, " ", to))
		}
	}
	slices.Sort(lines)
	return lines
}

// forget notes that a request changes e-mail addresses: what went to the old ones
// may not be sent any more.
func (w *dryWorld) forget(in fields) {
	list, ok := in["to"].(fields)["inlineUsers"].([]fields)
	if !ok {
		return
	}
	changed := fmt.Sprintf(" to %s at EMAIL ", list[0]["identifier"])
	w.want = slices.DeleteFunc(w.want, func(message string) bool {
		gone := strings.Contains(message, changed)
		if gone {
			w.late = append(w.late, message)
		}
		return gone
	})
}

// keptNotification is what is kept of one recipient of a send.
type keptNotification struct {
	ID         string
	CreatedAt  time.Time
	User       struct{ Identifier string }
	Deliveries []struct {
		Channel, State string
		Address        *string
		DueAt          *time.Time
	}
}

// kept is what there is of a send, in the lines of planned.
func (w *dryWorld) kept(send string, dry dryAnswer) (lines []string) {
	w.t.Helper()
	var log struct {
		Notifications struct{ Nodes []keptNotification }
	}
	w.ask(fmt.Sprintf(`{ notifications(first: 100, filter: {send: %q}) { nodes { id createdAt user { identifier } deliveries { channel state address dueAt } } } }`, send), nil, &log)
	for _, n := range log.Notifications.Nodes {
		lines = append(lines, w.keptOf(n, dry)...)
	}
	slices.Sort(lines)
	return lines
}

// sentAt is when the queue took a notification's deliveries: by the world's clock,
// and on PostgreSQL by its own.
func (w *dryWorld) sentAt(n keptNotification) time.Time {
	if w.store.Database() == "postgres" {
		return w.began
	}
	return n.CreatedAt
}

func (w *dryWorld) keptOf(n keptNotification, dry dryAnswer) (lines []string) {
	w.t.Helper()
	to := map[string][]string{}
	for _, d := range n.Deliveries {
		if d.State == "QUEUED" || d.State == "DEFERRED" {
			in := d.DueAt.Sub(w.sentAt(n)).Round(time.Minute) // which is what they are in
			to[d.Channel] = append(to[d.Channel], fmt.Sprintf("%s in %ds", *d.Address, int(in.Seconds())))
		} else if d.State != "SKIPPED" {
			w.t.Errorf("a delivery is %s though no worker is about", d.State)
		}
	}
	var query strings.Builder
	for _, c := range dry.Plan[0].Channels {
		fmt.Fprintf(&query, "%s: explainDelivery(notification: %q, channel: %s) %s ", c.Channel, n.ID, c.Channel, dryDecision)
	}
	told := map[string]decided{}
	var answer map[string]json.RawMessage
	w.ask(fmt.Sprintf(`{ user(identifier: %q) { inbox(first: 1) { nodes { id } } } %s}`, n.User.Identifier, query.String()), nil, &answer)
	for _, c := range dry.Plan[0].Channels {
		var d decided
		if err := json.Unmarshal(answer[c.Channel], &d); err != nil {
			w.t.Fatal(err)
		}
		told[c.Channel] = d
	}
	if d, ok := told["IN_APP"]; ok && d.Allowed != strings.Contains(string(answer["user"]), `"`+n.ID+`"`) {
		w.t.Errorf("%s in the inbox is explained by %s, and the newest there is %s", n.ID, d, answer["user"])
	}
	for _, c := range dry.Plan[0].Channels {
		list := to[c.Channel]
		slices.Sort(list)
		lines = append(lines, fmt.Sprint(n.User.Identifier, " ", c.Channel, " ", told[c.Channel], " ", list))
		delete(to, c.Channel)
	}
	for c, list := range to {
		lines = append(lines, fmt.Sprint(n.User.Identifier, " ", c, " was not planned: ", list))
	}
	return lines
}

// compareTaken waits for the workers, and compares what the providers took with
// what was planned: what is due, each message once, and nothing else.
func (w *dryWorld) compareTaken() {
	w.t.Helper()
	for had, deadline := 0, time.Now().Add(30*time.Second); len(lacking(w.want, w.taken())) > 0 && !time.Now().After(deadline); {
		if n := len(w.recorder.Taken()); n > had {
			had, deadline = n, time.Now().Add(30*time.Second)
		}
		<-time.After(5 * time.Millisecond)
	}
	got := w.taken()
	slices.Sort(got)
	slices.Sort(w.want)
	if !slices.Equal(got, w.want) && !w.isLate(got) {
		w.t.Errorf("seed %s: planned %s\ntaken   %s", w.name, strings.Join(lacking(w.want, got), "\n        "), strings.Join(lacking(got, w.want), "\n        "))
	}
}

// isLate reports whether taken is all that was wanted, with some of what may
// come: the clock has moved on since.
func (w *dryWorld) isLate(taken []string) bool {
	late := slices.Clone(w.late)
	for _, s := range lacking(taken, w.want) {
		if !slices.Contains(late, s) {
			return false
		}
	}
	return len(lacking(w.want, taken)) == 0
}

// taken is what the providers of this world were handed.
func (w *dryWorld) taken() (out []string) {
	for _, s := range w.recorder.Taken() {
		m := s.Message
		if strings.HasPrefix(strings.TrimPrefix(m.Title, "O-"), w.name+"-") {
			out = append(out, fmt.Sprintf("%s to %s at %s %s", m.Title, m.Recipient, m.Channel, m.To.Address))
		}
	}
	return out
}
