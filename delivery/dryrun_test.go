package delivery_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"carillon/audience"
	"carillon/model"
	"carillon/user"
)

// worlds is how many random worlds are made.
var worlds = flag.Uint64("worlds", 1, "how many random worlds TestDryRunsPlanWhatSendsDo makes")

// TestDryRunsPlanWhatSendsDo makes random requests in random worlds, each first
// as a dry run. What that plans, for every recipient and every channel, is what is
// kept of the send then: its deliveries with their addresses and reasons, and what
// explaining each channel says.
func TestDryRunsPlanWhatSendsDo(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		seen := map[model.Reason]bool{}
		for seed := range *worlds {
			w := newPlanWorld(t, f, seed)
			for range 10 {
				w.compare(t, seen)
			}
		}
		if len(seen) < 9 {
			t.Errorf("only the rules %v decided anything", slices.Collect(maps.Keys(seen)))
		}
	})
}

// planWorld is an environment with users, and makes requests to them.
type planWorld struct {
	*fixture
	r          *rand.Rand
	env        model.Environment
	topics     *audience.Service
	categories []string
}

// channels are those that users of the worlds have addresses for.
var channels = []model.Channel{
	model.ChannelInApp, model.ChannelEmail, model.ChannelSMS, model.ChannelWhatsApp, model.ChannelMobilePush, model.ChannelWebPush, model.ChannelSlack, model.ChannelWebhook,
}

func (w *planWorld) coin() bool { return w.r.IntN(2) == 0 }

func (w *planWorld) some(from []model.Channel, odds int) (out []model.Channel) {
	for _, c := range from {
		if w.r.IntN(odds) == 0 {
			out = append(out, c)
		}
	}
	return out
}

func newPlanWorld(t *testing.T, f *fixture, seed uint64) *planWorld {
	t.Helper()
	w := &planWorld{fixture: f, r: rand.New(rand.NewPCG(seed, 5)), topics: &audience.Service{Store: f.store}, categories: []string{""}}
	w.env = f.environment(t, fmt.Sprint("world-", seed))
	for _, c := range channels[1:] {
		if w.r.IntN(4) > 0 {
			f.providerOf(t, &w.env, c)
		}
	}
	for i := range 3 {
		c := model.Category{EnvID: w.env.ID, Identifier: fmt.Sprint("category-", i), Name: "C", DefaultEnabled: w.coin(), ChannelDefaults: map[model.Channel]bool{}}
		for _, ch := range w.some(channels, 3) {
			c.ChannelDefaults[ch] = w.coin()
		}
		if _, err := f.catalog.Create(t.Context(), w.env.ID, model.Once{}, c); err != nil {
			t.Fatal(err)
		}
		w.categories = append(w.categories, c.Identifier)
	}
	for _, topic := range []string{"one", "two"} {
		if _, err := w.topics.Create(t.Context(), w.env.ID, model.Once{}, topic, topic, model.TopicDetails{}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 14 {
		w.user(t, i)
	}
	for _, c := range w.categories[1:] { // afterwards, so that people have chosen otherwise
		if _, err := f.catalog.Update(t.Context(), w.env.ID, model.Once{}, c, model.CategoryChange{RequiredChannels: new(w.some(channels, 8))}); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// user makes a user with random ways of being reached, some of them suppressed,
// and random choices.
func (w *planWorld) user(t *testing.T, i int) {
	t.Helper()
	name, profile := fmt.Sprint("user-", i), map[string]string{}
	if w.coin() {
		profile["email"] = name + "@example.com"
	}
	if w.coin() {
		profile["phoneNumber"] = fmt.Sprintf("+49301234%03d", i)
	}
	attributes, _ := json.Marshal(profile)
	u := w.person(t, w.env.ID, name, string(attributes))
	ref := model.UserRef{Env: w.env.ID, ID: u.ID}
	if w.coin() {
		w.phone(t, u, "token-"+name)
	}
	for n := range w.r.IntN(4) {
		in := model.NewAddress{Channel: channels[1:][w.r.IntN(len(channels)-1)], Value: fmt.Sprintf("https://example.com/%s/%d", name, n), Enabled: new(w.r.IntN(4) > 0)}
		switch in.Channel {
		case model.ChannelEmail:
			in.Value = fmt.Sprintf("%d-%s@example.com", n, name)
		case model.ChannelSMS, model.ChannelWhatsApp:
			in.Value = fmt.Sprintf("+4930%d234%03d", n, i)
		case model.ChannelWebPush, model.ChannelMobilePush: // which only devices have
			continue
		default:
		}
		if _, err := w.users.AddAddress(t.Context(), model.Once{}, ref, in); err != nil {
			t.Fatalf("%+v: %v", in, err)
		}
	}
	all, err := w.users.Addresses(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		if w.r.IntN(5) > 0 {
			continue
		}
		if _, err := w.Suppress(t.Context(), w.env.ID, model.Once{}, model.Suppression{Channel: a.Channel, Address: a.Value, Reason: model.SuppressedManual}); err != nil {
			t.Fatal(err)
		}
	}
	w.chooses(t, u)
	for _, topic := range []string{"one", "two"} {
		if w.r.IntN(3) == 0 {
			continue
		}
		m := model.TopicMember{Identifier: name, Unsubscribed: w.r.IntN(6) == 0}
		if w.coin() {
			m.Channels = []string{}
			for _, c := range w.some(channels, 3) {
				m.Channels = append(m.Channels, c.String())
			}
		}
		if _, err := w.topics.Subscribe(t.Context(), w.env.ID, model.Once{}, topic, []model.TopicMember{m}); err != nil {
			t.Fatal(err)
		}
	}
	if w.r.IntN(7) == 0 {
		if _, err := w.users.SetEnabled(t.Context(), w.env.ID, model.Once{}, name, false); err != nil {
			t.Fatal(err)
		}
	}
}

func (w *planWorld) chooses(t *testing.T, u model.User) {
	t.Helper()
	var changes []user.PreferenceInput
	for _, category := range w.categories {
		for _, c := range append(w.some(channels, 6), 0) {
			if w.r.IntN(3) == 0 && (category != "" || c != 0) {
				changes = append(changes, user.PreferenceInput{Category: category, Channel: c, Enabled: new(w.coin())})
			}
		}
	}
	if len(changes) == 0 {
		return
	}
	if _, err := w.users.SetPreferences(t.Context(), w.env, model.Once{}, u.ID, changes); err != nil {
		t.Fatalf("%+v: %v", changes, err)
	}
}

func (w *planWorld) request() model.SendRequest {
	req := model.SendRequest{Content: model.Content{Title: "T"}, Category: w.categories[w.r.IntN(len(w.categories))]}
	for range 1 + w.r.IntN(6) {
		req.To.Users = append(req.To.Users, fmt.Sprint("user-", w.r.IntN(16)))
	}
	switch w.r.IntN(5) {
	case 0:
		req.To.Topics = []string{"one", "two"}
	case 1:
		req.To.Topics = []string{"two"}
	case 2:
		req.To.Everyone = true
	default:
	}
	if w.r.IntN(3) == 0 {
		req.Channels = w.some(channels, 2)
	}
	if w.r.IntN(4) == 0 {
		req.Options.Escalations = []model.Escalation{{Channel: model.ChannelEmail, After: 60_000_000_000, Unless: model.MarkRead}}
	}
	if len(req.Channels) == 0 {
		req.Channels = nil
	}
	return req
}

// compare makes one request twice.
func (w *planWorld) compare(t *testing.T, seen map[model.Reason]bool) {
	t.Helper()
	req := w.request()
	req.DryRun = true
	dry, err := w.sends.Send(t.Context(), w.env, req)
	if err != nil {
		t.Fatalf("%+v: %v", req, err)
	}
	req.DryRun = false
	sent, err := w.sends.Send(t.Context(), w.env, req)
	if err != nil {
		t.Fatalf("%+v: %v", req, err)
	}
	if err := w.sends.ExpandAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	var planned, done []string
	for _, p := range dry.Value.Plan {
		for _, c := range p.Channels {
			seen[c.Decision.Reason] = true
			slices.Sort(c.Addresses)
			planned = append(planned, p.Identifier+" "+w.line(req, c.Channel, c.Decision, c.Addresses))
		}
	}
	notifications := w.notifications(t, sent.Value.Send.ID)
	if len(notifications) != len(dry.Value.Plan) {
		t.Errorf("%+v: %d notifications for %d that were planned", req, len(notifications), len(dry.Value.Plan))
	}
	for name, n := range notifications {
		for _, c := range dry.Value.Plan[0].Channels {
			done = append(done, name+" "+w.done(t, req, n, c.Channel))
		}
	}
	slices.Sort(planned)
	slices.Sort(done)
	if !slices.Equal(planned, done) {
		t.Errorf("%+v:\nplanned %s\ndone    %s", req, strings.Join(without(planned, done), "\n        "), strings.Join(without(done, planned), "\n        "))
	}
}

// without is what of a list another lacks.
func without(list, other []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return slices.Contains(other, s) })
}

// notifications are those of a send, by user.
func (w *planWorld) notifications(t *testing.T, send model.SendID) map[string]model.Notification {
	t.Helper()
	out := map[string]model.Notification{}
	rows := w.sql(t, "select n.id, u.identifier from notifications n join users u on u.env_id = n.env_id and u.id = n.user_id where n.env_id = ? and n.send_id = ?", int64(w.env.ID), int64(send))
	ids := make([]model.NotificationID, len(rows))
	for i, row := range rows {
		ids[i] = model.NotificationID(row[0].(int64))
	}
	found, err := w.store.Notifications(t.Context(), w.env.ID, ids)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		i := slices.IndexFunc(found, func(n model.Notification) bool { return int64(n.ID) == row[0].(int64) })
		out[row[1].(string)] = found[i]
	}
	return out
}

// line is what a plan and what came of it are compared by. Of a channel that is
// left out for everybody nothing is kept, so what else would have spoken against it
// is not known later.
func (w *planWorld) line(req model.SendRequest, c model.Channel, d model.Decision, to []string) string {
	reason := d.Reason.String()
	if !w.env.Uses(c) || req.Channels != nil && !slices.Contains(req.Channels, c) {
		switch d.Reason {
		case model.ReasonNoAddress, model.ReasonSuppressed, model.ReasonAdminOff, model.ReasonChannelNotRequested:
			reason = "LEFT_OUT"
		default:
		}
	}
	return fmt.Sprint(c, " ", d.Allowed, " ", reason, " ", to)
}

// done is what became of a notification over a channel.
func (w *planWorld) done(t *testing.T, req model.SendRequest, n model.Notification, c model.Channel) string {
	t.Helper()
	d, err := w.Explain(t.Context(), w.env, n, c)
	if err != nil {
		t.Fatal(err)
	}
	all, err := w.Of(t.Context(), w.env.ID, []model.NotificationID{n.ID})
	if err != nil {
		t.Fatal(err)
	}
	to := []string{}
	for _, x := range all[n.ID] {
		if x.Channel == c && x.State == model.DeliveryQueued {
			to = append(to, x.Address)
			if !d.Allowed || x.Reason != d.Reason {
				t.Errorf("%+v goes out though it is explained by %t, %s", x, d.Allowed, d.Reason)
			}
		}
	}
	slices.Sort(to)
	return w.line(req, c, d, to)
}
