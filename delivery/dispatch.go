package delivery

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"carillon/model"
	"carillon/preference"
)

const (
	// againWhenPaused is how long a delivery waits that only paused providers
	// could carry.
	againWhenPaused = 15 * time.Second
	// minLeft is what must be left of the time for attempts to begin one.
	minLeft = 2 * time.Second
)

// dispatch decides about a delivery once more and, if nothing speaks against
// it, tries it with the providers of its channel, in their order.
func (s *Service) dispatch(ctx context.Context, c claimed, x *surroundings) model.FinishedDelivery {
	if done, stop := s.reconsider(c, x); stop {
		return done
	}
	message, err := s.message(ctx, c, x)
	switch model.KindOf(err) {
	case "":
	case model.KindInvalid, model.KindNotFound:
		return ended(c, model.DeliveryFailed, cutText("it could not be rendered: "+err.Error(), 500))
	default: // not the template's fault: the database's, which may come back
		s.log().WarnContext(ctx, "rendering a delivery", "delivery", c.ID, "error", err)
		f := model.FinishedDelivery{ClaimedDelivery: c.ClaimedDelivery, Delay: renderAgain}
		f.State = model.DeliveryQueued
		return f
	}
	if message.Attachments, err = x.attachments(ctx, s.Store, c); err != nil {
		s.log().WarnContext(ctx, "reading attachments", "delivery", c.ID, "error", err)
		return release(c, renderAgain)
	}
	return s.round(ctx, c, message, x.options[c.SendID].Overrides)
}

// renderAgain is how long a delivery waits whose template could not be read.
const renderAgain = 5 * time.Second

// ended is the end of a delivery without another attempt.
func ended(c claimed, state model.DeliveryState, detail string) model.FinishedDelivery {
	f := model.FinishedDelivery{ClaimedDelivery: c.ClaimedDelivery}
	f.State, f.Detail = state, detail
	return f
}

// reconsider asks whether a delivery is still to be sent; stop says that it is
// not, or not now.
func (s *Service) reconsider(c claimed, x *surroundings) (done model.FinishedDelivery, stop bool) {
	n, there := x.notifications[c.NotificationID]
	_, sent := x.sends[c.SendID]
	r, known := x.recipients[c.UserID]
	switch {
	case !c.ExpiresAt.IsZero() && !s.now().Before(c.ExpiresAt): // before the next: what has expired is swept away
		return ended(c, model.DeliveryExpired, "its time was over before it could be sent"), true
	case !there || !sent:
		return ended(c, model.DeliveryCanceled, "the notification was deleted or recalled"), true
	case c.Unless == model.MarkRead && !n.ReadAt.IsZero():
		return ended(c, model.DeliveryCanceled, "the notification was read first"), true
	case c.Unless == model.MarkSeen && (!n.SeenAt.IsZero() || !n.ReadAt.IsZero()):
		return ended(c, model.DeliveryCanceled, "the notification was seen first"), true
	}
	allowed, reason := preference.Allows(x.input(r, known, c.Delivery, n.CategoryID))
	if allowed {
		allowed, reason = x.usable(c.Delivery, reason)
	}
	if !allowed {
		f := ended(c, model.DeliverySkipped, "decided just before it was to be sent")
		f.Reason = reason
		return f, true
	}
	return done, false
}

// input is what the ladder is asked with. What the send was for has been
// decided when it fired.
func (x *surroundings) input(r model.Recipient, known bool, d model.Delivery, category model.CategoryID) preference.Input {
	c := d.Channel
	in := preference.Input{
		Known: known, Enabled: r.Enabled, ChannelsOff: x.env.Unused(), Category: x.category(category), Choices: r.Choices, Channel: c,
		Reachable: []model.Channel{model.ChannelInApp},
	}
	if d.Reason == model.ReasonUserTopic {
		in.Via = []model.Channel{c} // for which they were on the topic when it fired
	}
	all := true
	for _, a := range x.reach(d) {
		if a.Channel == c {
			in.Reachable = append(in.Reachable, c)
			all = all && x.suppressed[model.ChannelAddress{Env: x.env.ID, Channel: c, Address: a.Value}]
		}
	}
	if len(in.Reachable) > 1 && all {
		in.Suppressed = []model.Channel{c}
	}
	return in
}

// usable asks the same about the address that the delivery is for.
func (x *surroundings) usable(d model.Delivery, reason model.Reason) (bool, model.Reason) {
	theirs := slices.ContainsFunc(x.reach(d), func(a model.Address) bool { return a.Channel == d.Channel && a.Value == d.Address })
	switch {
	case !theirs:
		return false, model.ReasonNoAddress
	case x.suppressed[model.ChannelAddress{Env: d.EnvID, Channel: d.Channel, Address: d.Address}]:
		return false, model.ReasonSuppressed
	}
	return true, reason
}

// message is what is sent.
func (s *Service) message(ctx context.Context, c claimed, x *surroundings) (Message, error) {
	n, send, user, category := x.notifications[c.NotificationID], x.sends[c.SendID], x.users[c.UserID], x.category(x.notifications[c.NotificationID].CategoryID)
	m := Message{
		ID: c.ID, Channel: c.Channel, To: Target{Address: c.Address, Platform: c.Platform},
		Notification: n.ID, Send: send.RequestID, Recipient: user.Identifier, Locale: user.Profile.Attribute(model.AttrLocale),
		Name:  joinName(user.Profile.Attribute(model.AttrFirstName), user.Profile.Attribute(model.AttrLastName)),
		Title: n.Content.Title, Text: n.Content.Body, URL: n.Content.URL, Icon: n.Content.Icon, Blocks: n.Content.Blocks, Data: n.Content.Data, Edition: n.Content.Edition,
		CollapseKey: x.options[c.SendID].CollapseKey, FiredAt: send.FiredAt, ExpiresAt: c.ExpiresAt,
	}
	if category != nil {
		m.Category = category.Identifier
	}
	if m.ExpiresAt.IsZero() {
		m.ExpiresAt = s.now().Add(Endurance(c.Channel))
	}
	if c.Channel == model.ChannelEmail && !required(category, c.Channel) {
		m.Unsubscribe = s.UnsubscribeURL(Unsubscription{Env: c.EnvID, User: c.UserID, Category: n.CategoryID, Channel: c.Channel})
	}
	if s.Render == nil {
		return m, nil
	}
	err := s.Render.Render(ctx, &m, Subject{Env: x.env, Send: send, Notification: n, User: user, Category: category, Options: x.options[c.SendID]})
	return m, err
}

func joinName(first, last string) string {
	if first == "" || last == "" {
		return first + last
	}
	return first + " " + last
}

// round tries a delivery with each provider of its channel that can carry it,
// until one takes it or says that none should.
func (s *Service) round(ctx context.Context, c claimed, m Message, overrides []model.Override) model.FinishedDelivery {
	f := model.FinishedDelivery{ClaimedDelivery: c.ClaimedDelivery}
	f.State = model.DeliveryQueued
	var (
		last    *Error
		waiting time.Duration // for the first provider that could and may not now
		could   bool
	)
	for _, p := range s.worker.catalog.of(model.Lane{Env: c.EnvID, Channel: c.Channel}) {
		sender := s.madeSender(p)
		if c.Carrier != "" && c.Carrier != p.Kind || sender.err == nil && !takes(sender.Sender, m.To) {
			continue
		}
		could = true
		if p.Paused() {
			waiting = sooner(waiting, againWhenPaused)
			continue
		}
		wait, release := s.enter(ctx, p, sender, c)
		if wait > 0 {
			waiting = sooner(waiting, wait)
			continue
		}
		m.Attempt = f.Attempt + 1
		a, failure := s.carry(ctx, p, sender, c, m.overridden(overrides, p.Kind), release)
		f.Attempt, f.ProviderID, f.MessageID = a.N, p.ID, a.MessageID
		f.Attempts = append(f.Attempts, a)
		if failure == nil {
			f.State, f.Detail = model.DeliverySent, ""
			return f
		}
		last = failure
		if !s.another(ctx, p, c, m, failure) {
			break
		}
	}
	if last == nil {
		if !could {
			return ended(c, model.DeliveryFailed, fmt.Sprintf("no provider of %s can carry to this address", c.Channel))
		}
		f.Delay = max(waiting, 100*time.Millisecond)
		return f
	}
	return s.conclude(f, last, waiting)
}

func sooner(a, b time.Duration) time.Duration {
	if a == 0 {
		return b
	}
	return min(a, b)
}

func takes(sender Sender, to Target) bool {
	chooser, ok := sender.(Chooser)
	return !ok || chooser.Takes(to)
}

// enter takes a place at a provider, or says how long to wait for one. With a
// place, release gives it back and tells the breaker how it went.
func (s *Service) enter(ctx context.Context, p model.Provider, sender *madeSender, c claimed) (wait time.Duration, release func(*Service, *Error)) {
	pass, wait := s.worker.breakers.enter(breakerKey(p, Target{Address: c.Address}))
	if wait > 0 {
		return wait, nil
	}
	giveUp := time.NewTimer(max(0, time.Until(c.begin)))
	defer giveUp.Stop()
	select {
	case sender.places <- struct{}{}:
	case <-giveUp.C:
		s.worker.breakers.leave(pass, neither, 0)
		return time.Second, nil
	}
	if p.PerSecond > 0 {
		if wait := s.turn(ctx, p, c); wait > 0 {
			<-sender.places
			s.worker.breakers.leave(pass, neither, 0)
			return wait, nil
		}
	}
	return 0, func(s *Service, failure *Error) {
		<-sender.places
		how, cool := worked, time.Duration(0)
		if failure != nil {
			how, cool = judge(failure), 0
			if failure.Class == model.ClassRateLimited {
				cool = failure.RetryAfter
			}
		}
		s.worker.breakers.leave(pass, how, cool)
	}
}

// turn waits for the delivery's turn at a provider whose rate is limited. A
// wait that it returns is longer than the lease.
func (s *Service) turn(ctx context.Context, p model.Provider, c claimed) time.Duration {
	within, cancel := context.WithTimeout(ctx, queueTime)
	defer cancel()
	wait, err := s.Store.ReserveRate(within, model.ProviderRef{Env: p.EnvID, ID: p.ID}, 1)
	if err != nil {
		s.log().WarnContext(ctx, "reserving a turn", "error", err)
		return time.Second
	}
	if wait > time.Until(c.begin) {
		return wait
	}
	if wait > 0 {
		timer := time.NewTimer(wait)
		<-timer.C
	}
	return 0
}

// judge is what a failure says about the provider.
func judge(e *Error) outcome {
	switch e.Class {
	case model.ClassTransient, model.ClassUnknown, model.ClassAuth:
		return failed
	case model.ClassRateLimited:
		return neither
	default:
		return worked // it answered, about this message
	}
}

// carry is attempt, and gives the place at the provider back however it ends.
func (s *Service) carry(ctx context.Context, p model.Provider, sender *madeSender, c claimed, m Message, release func(*Service, *Error)) (model.Attempt, *Error) {
	var a model.Attempt
	failure := &Error{Class: model.ClassTransient} // should it panic
	defer func() { release(s, failure) }()
	a, failure = s.attempt(ctx, p, sender, c, m)
	return a, failure
}

// attempt is one try with one provider. Code that panics has failed for now:
// what is wrong may be the message.
func (s *Service) attempt(ctx context.Context, p model.Provider, sender *madeSender, c claimed, m Message) (a model.Attempt, failure *Error) {
	began := time.Now()
	a = model.Attempt{Delivery: c.ID, N: m.Attempt, Provider: p.ID, Kind: p.Kind, StartedAt: s.now(), Edition: m.Edition}
	timeout := DefaultTimeout
	if k := s.Kinds.Find(p.Kind); k != nil {
		timeout = orDefault(k.Timeout, DefaultTimeout)
	}
	ctx, cancel := context.WithTimeout(ctx, max(0, min(timeout, time.Until(c.until))))
	defer cancel()
	receipt, err := s.send(ctx, sender, m)
	a.Took = max(time.Since(began), time.Microsecond)
	if failure = Classify(err); failure == nil {
		a.Status, a.MessageID, a.Answer = receipt.Status, cutText(receipt.MessageID, 255), cutText(receipt.Answer, model.MaxAnswer)
		return a, nil
	}
	if failure.Class == model.ClassAuth && byAddress(p.Channel) && hostOf(m.To.Address) != "" {
		// Whoever is behind the address does not want us; our account is fine.
		refused := *failure
		refused.Class = model.ClassPermanent
		failure = &refused
	}
	a.Class, a.Status = failure.Class, failure.Status
	a.Answer, a.Detail = cutText(failure.Answer, model.MaxAnswer), cutText(failure.Message, 500)
	s.log().DebugContext(ctx, "attempt failed", "delivery", c.ID, "environment", int64(c.EnvID), "channel", c.Channel.String(), "provider", p.Kind,
		"attempt", m.Attempt, "class", failure.Class.String(), "status", failure.Status)
	return a, failure
}

func (s *Service) send(ctx context.Context, sender *madeSender, m Message) (receipt Receipt, err error) {
	defer func() {
		if r := recover(); r != nil {
			s.log().ErrorContext(ctx, "a provider's code panicked", "delivery", m.ID, "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
			err = Errorf(model.ClassTransient, "the server's own code for this provider failed")
		}
	}()
	if sender.err != nil {
		return receipt, &Error{Class: model.ClassConfig, Message: "the provider's settings are not in order: " + sender.err.Error()}
	}
	return sender.Send(ctx, m)
}

// another reports whether the next provider is to be tried at once. A provider
// that refuses its credentials is paused on the way.
func (s *Service) another(ctx context.Context, p model.Provider, c claimed, m Message, e *Error) bool {
	switch e.Class {
	case model.ClassAuth:
		s.pause(ctx, p, e)
	case model.ClassTransient, model.ClassRateLimited, model.ClassConfig:
	default:
		return false
	}
	return time.Until(c.begin) > 0
}

// pause keeps a provider that refuses its credentials from being tried until a
// person has mended it.
func (s *Service) pause(ctx context.Context, p model.Provider, e *Error) {
	within, cancel := context.WithTimeout(ctx, queueTime)
	defer cancel()
	paused, err := s.Store.PauseProvider(within, model.ProviderRef{Env: p.EnvID, ID: p.ID}, cutText(e.Message, 500))
	if err != nil {
		s.log().WarnContext(ctx, "pausing a provider", "error", err)
	}
	if paused {
		s.log().ErrorContext(ctx, "a provider refused its credentials and is paused", "provider", p.ID, "kind", p.Kind, "environment", int64(p.EnvID), "status", e.Status)
	}
	s.worker.catalog.forget(p.EnvID)
}

// conclude says what becomes of a delivery after a round that ended in e.
func (s *Service) conclude(f model.FinishedDelivery, e *Error, waiting time.Duration) model.FinishedDelivery {
	last := &f.Attempts[len(f.Attempts)-1]
	f.Detail = last.Detail
	switch e.Class {
	case model.ClassPermanent, model.ClassConfig:
		f.State = model.DeliveryFailed
	case model.ClassAddressDead:
		f.State, f.Dead = model.DeliveryFailed, true
	case model.ClassAuth:
		// It waits for the provider, and that counts for nothing.
		f.Delay = againWhenPaused
	case model.ClassUnknown:
		if !s.mayDouble(f.Channel, last.Kind) {
			f.State = model.DeliveryUnknown
			return f
		}
		s.again(&f, e)
	default:
		s.again(&f, e)
	}
	if f.State == model.DeliveryQueued {
		if waiting > 0 && waiting < f.Delay && e.Class == model.ClassAuth {
			f.Delay = waiting
		}
		last.NextAt = s.now().Add(f.Delay)
	}
	return f
}

// again plans the next try, or gives up.
func (s *Service) again(f *model.FinishedDelivery, e *Error) {
	f.Tries++
	delay, more := Next(f.Channel, f.Tries, f.Elapsed, e.RetryAfter, s.random())
	switch {
	case !more:
		f.State, f.Detail = model.DeliveryFailed, cutText(fmt.Sprintf("given up after %d tries; the last: %s", f.Tries, f.Detail), 500)
	case !f.ExpiresAt.IsZero() && s.now().Add(delay).After(f.ExpiresAt):
		f.State, f.Detail = model.DeliveryExpired, cutText("its time is over before the next try; the last: "+f.Detail, 500)
	default:
		f.Delay = delay
	}
}

// mayDouble reports whether a message of which it is not known whether it was
// taken is sent again. Deliveries are made at least once; but a call or a text
// message costs and disturbs each time, so there a provider must know our ids.
func (s *Service) mayDouble(c model.Channel, kind string) bool {
	if k := s.Kinds.Find(kind); k != nil && k.Dedupes {
		return true
	}
	switch c {
	case model.ChannelSMS, model.ChannelWhatsApp, model.ChannelVoice:
		return false
	default:
		return true
	}
}
