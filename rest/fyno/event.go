package fyno

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"carillon/model"
	"carillon/rest"
)

// eventRequest is one event to be sent.
type eventRequest struct {
	event string
	id    string                   // of the profile; empty: there is none
	inbox string                   // whose inbox, where that is a destination
	to    map[model.Channel]string // destinations that are not the profile's
	send  model.SendRequest
}

// sentTo is what became of one channel.
type sentTo struct {
	Destination string `json:"destination"`
	MessageID   string `json:"msg_id"`
	Status      string `json:"status"`
}

// received is the answer to an event.
type received struct {
	Event        string `json:"event"`
	ReceivedTime string `json:"received_time"`
	RequestID    string `json:"request_id"`
	Response     any    `json:"response"`
}

// event notifies one profile, or the destinations named.
func (a *API) event(r *http.Request) (int, any, error) {
	c, err := a.begin(r, "", rest.MaxBulkBody)
	if err != nil {
		return 0, nil, err
	}
	e := c.readEvent(c.body, c.eventName())
	if err := c.check.Err(); err != nil {
		return 0, nil, err
	}
	if err := c.prepare(&e, ""); err != nil {
		return 0, nil, err
	}
	sent, response, err := c.fire(e)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusAccepted, received{e.event, moment(sent.CreatedAt), sent.RequestID, response}, nil
}

const (
	maxBulk     = 1000
	bulkAtATime = 16 // sends of a bulk event at the same time, which share commits
)

// bulkEvent notifies several profiles. What is wrong with any keeps all from
// being sent.
func (a *API) bulkEvent(r *http.Request) (int, any, error) {
	c, err := a.begin(r, "", rest.MaxBulkBody)
	if err != nil {
		return 0, nil, err
	}
	c.body.Required("batch")
	name, list := c.eventName(), c.body.List("batch")
	c.check.That(len(list) <= maxBulk, "must have at most "+strconv.Itoa(maxBulk)+" items", "batch")
	c.check.That(len(list) > 0 || !c.body.Has("batch"), "must have at least one item", "batch")
	events := make([]eventRequest, len(list))
	for i, raw := range list {
		if c.check.OK() {
			events[i] = c.readEvent(rest.Object(raw, c.check.At("batch", strconv.Itoa(i))), name)
		}
	}
	if err := c.check.Err(); err != nil {
		return 0, nil, err
	}
	for i := range events {
		if err := c.prepare(&events[i], "#"+strconv.Itoa(i)); err != nil {
			return 0, nil, at(i, err)
		}
	}
	items, first, err := c.fireAll(events)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusAccepted, received{name, moment(first.CreatedAt), first.RequestID, items}, nil
}

func (c *call) eventName() string {
	name := c.body.Text("event")
	c.check.That(name != "" || !c.check.OK(), "is required", "event")
	return name
}

// fireAll sends events, and gives the answers in their order, and the first send.
func (c *call) fireAll(events []eventRequest) ([]map[string]any, model.Send, error) {
	sends := make([]model.Send, len(events))
	items, errs := make([]map[string]any, len(events)), make([]error, len(events))
	var wg sync.WaitGroup
	turn := make(chan struct{}, bulkAtATime)
	for i, e := range events {
		turn <- struct{}{}
		wg.Go(func() {
			defer func() { <-turn }()
			sent, response, err := c.fire(e)
			if errs[i] = err; err != nil {
				return
			}
			sends[i], items[i] = sent, map[string]any{"seq": i, "request_id": sent.RequestID}
			for word, to := range response {
				items[i][word] = to
			}
		})
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			return nil, model.Send{}, at(i, err)
		}
	}
	return items, sends[0], nil
}

// at says which item of a batch an error is about.
func at(i int, err error) error {
	if e, is := errors.AsType[*model.Error](err); is && len(e.Problems) == 0 {
		out := *e
		out.Message = fmt.Sprintf("batch.%d: %s", i, e.Message)
		return &out
	}
	return err
}

// readEvent reads who is meant and what comes along.
func (c *call) readEvent(in rest.Members, name string) eventRequest {
	e := eventRequest{event: name, id: in.Text("distinct_id"), to: map[model.Channel]string{}}
	to := in.Object("to")
	for _, word := range to.Names() {
		channel, known := channelWords[word]
		switch destination := to.Text(word); {
		case !known || destination == "":
		case channel == model.ChannelInApp:
			e.inbox = destination
		default:
			e.to[channel] = c.checked(channel, destination, to.Check(word))
		}
	}
	if e.id == "" && len(e.to) == 0 && e.inbox == "" {
		in.Check().Add(model.ProblemRequired, "is required, or to with a destination", "distinct_id")
	}
	if m := model.CheckIdentifier(e.id); e.id != "" && m != "" {
		in.Check("distinct_id").Add(model.ProblemInvalid, m)
	}
	e.send = model.SendRequest{Template: name, OnUnknown: model.UnknownReject, WantPlan: true}
	e.send.Content.Data = in.ObjectText("data")
	if callback := in.ObjectText("callback"); callback != nil {
		checkCallback(in.Object("callback"))
		// No provider has this name, so it is kept and changes nothing.
		e.send.Options.Overrides = []model.Override{{Provider: "fyno", Merge: encoded(map[string]json.RawMessage{"callback": callback})}}
	}
	return e
}

// checked is a destination in the form in which addresses of its channel are
// kept.
func (c *call) checked(channel model.Channel, destination string, check *model.Check) string {
	switch channel {
	case model.ChannelMobilePush, model.ChannelWebPush:
		if m := model.CheckText(destination, 4096); m != "" {
			check.Add(model.ProblemInvalid, m)
		}
		is, _ := bare(destination)
		return is
	case model.ChannelSMS, model.ChannelWhatsApp, model.ChannelVoice:
		if n := model.PhoneOf(destination); n != "" {
			return n
		}
	default:
	}
	is, wrong := model.CheckAddress(channel, destination)
	if wrong != "" {
		check.Add(model.ProblemInvalid, wrong)
	}
	return is
}

// checkCallback holds a callback to its limits; it is kept with the send.
func checkCallback(in rest.Members) {
	for _, name := range []string{"custom_id", "custom1", "custom2", "custom3"} {
		raw := in.Raw(name)
		if len(raw) > 0 && raw[0] == '"' && len([]rune(in.Text(name))) > 200 || len(raw) > 0 && raw[0] != '"' && len(raw) > 20 {
			in.Check(name).Add(model.ProblemLimit, "must be a text of at most 200 characters or a number of at most 20 digits")
		}
	}
	in.Check().That(len(in.Texts("allowlist_url")) <= 3, "must have at most 3 names", "allowlist_url")
}

// prepare finds the recipient of an event. Destinations without a profile are
// those of a user who has nothing else.
func (c *call) prepare(e *eventRequest, item string) error {
	switch {
	case e.id == "" && e.inbox != "":
		// The inbox is its owner's, and the other destinations go to the same person.
		if _, err := c.Users.Find(c.ctx(), c.env, e.inbox); err != nil {
			return unknown(err, e.inbox)
		}
		e.id = e.inbox
		e.send.Channels = append(slices.Sorted(maps.Keys(e.to)), model.ChannelInApp)
	case e.id == "":
		e.id = nobody(e.to)
		e.send.Channels = slices.Sorted(maps.Keys(e.to))
		if _, err := c.Users.Change(c.ctx(), c.env, model.Once{}, model.UserChange{Identifier: e.id, Unassigned: true}); err != nil {
			return err
		}
	default:
		if _, err := c.Users.Find(c.ctx(), c.env, e.id); err != nil {
			return unknown(err, e.id)
		}
	}
	e.send.To.Users = []string{e.id}
	e.send.Options.Destinations = e.to
	if _, err := c.Categories.Find(c.ctx(), c.env, e.event); err == nil {
		e.send.Category = e.event
	} else if model.KindOf(err) != model.KindNotFound {
		return err
	}
	return c.atMostOnce(e, item)
}

// nobody is the identifier of the user who has only these destinations.
func nobody(to map[model.Channel]string) string {
	h := sha256.New()
	for _, channel := range slices.Sorted(maps.Keys(to)) {
		fmt.Fprintf(h, "%s\x00%s\x00", channel, to[channel])
	}
	return "destination-" + hex.EncodeToString(h.Sum(nil)[:16])
}

// atMostOnce reads the idempotency key. With Fyno a key gives the first answer
// again, whatever else the request says.
func (c *call) atMostOnce(e *eventRequest, item string) (err error) {
	once, err := rest.Once(c.r, c.caller, "sendNotification", nil)
	if err != nil || !once.Set() {
		return err
	}
	once.Key += item
	if m := model.CheckIdentifier(once.Key); m != "" {
		return model.Errorf(model.KindInvalid, "the header %s %s", rest.HeaderIdempotencyKey, m)
	}
	e.send.Once = once
	return nil
}

// fire sends an event, and tells what becomes of it by channel.
func (c *call) fire(e eventRequest) (model.Send, map[string]sentTo, error) {
	out, err := c.Sends.Send(c.ctx(), c.caller.Env, e.send)
	if err != nil {
		return model.Send{}, nil, c.unsent(err, e)
	}
	response := map[string]sentTo{}
	sent := *out.Value.Send
	for _, plan := range out.Value.Plan {
		for _, ch := range plan.Channels {
			if e.send.Channels != nil && !slices.Contains(e.send.Channels, ch.Channel) {
				continue
			}
			if out.Replayed && ch.Decision.Allowed && ch.Channel != model.ChannelInApp {
				// A stored answer has no addresses. Nobody may have one any more.
				ch.Addresses, _ = c.destinations(ch.Channel, e.id)
			}
			word := wordOf(ch.Channel)
			to := sentTo{Destination: e.id, MessageID: sent.RequestID + ":" + code(word), Status: "queued"}
			if ch.Channel != model.ChannelInApp {
				to.Destination = strings.Join(ch.Addresses, ",")
			}
			if given := e.to[ch.Channel]; given != "" {
				to.Destination = given
			}
			if !ch.Decision.Allowed {
				if _, asked := e.to[ch.Channel]; !asked && ch.Decision.Reason == model.ReasonNoAddress {
					continue
				}
				to.Status = "skipped: " + ch.Decision.Reason.String()
			}
			response[word] = to
		}
	}
	return sent, response, nil
}

// code is four characters that tell the messages of a request apart.
func code(word string) string {
	sum := sha256.Sum256([]byte(word))
	return hex.EncodeToString(sum[:2])
}

// unsent words an error of a send.
func (c *call) unsent(err error, e eventRequest) error {
	is, known := errors.AsType[*model.Error](err)
	if !known {
		return err
	}
	for i, p := range is.Problems {
		switch p.Field() {
		case "template":
			if p.Code == model.ProblemNotFound {
				return model.Errorf(model.KindInvalid, "event %q is not known: create a template of that name", e.event)
			}
			is.Problems[i].Path = []string{"event"}
		case "to.users.0":
			return unknown(model.NotFound("names nobody", "distinct_id"), e.id)
		}
	}
	return err
}
