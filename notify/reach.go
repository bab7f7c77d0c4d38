package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"slices"

	"carillon/model"
)

// reaching is a recipient whose addresses are wanted, with what would become of
// their profile first.
type reaching struct {
	recipient *model.Recipient
	env       model.EnvID
	merges    []json.RawMessage // attributes that a dry run leaves unmerged
	to        map[model.Channel]string
}

// reach reads the addresses of recipients, and which of them nothing is sent
// to, for all of them together.
func (s *Service) reach(ctx context.Context, list []reaching) error {
	if len(list) == 0 {
		return nil
	}
	refs := make([]model.UserRef, 0, len(list))
	for _, x := range list {
		if x.recipient.ID != 0 {
			refs = append(refs, model.UserRef{Env: x.env, ID: x.recipient.ID})
		}
	}
	found, err := s.Store.Addresses(ctx, refs)
	if err != nil {
		return err
	}
	var (
		all   = make([][]model.Address, len(list))
		asked []model.ChannelAddress
	)
	for i, x := range list {
		all[i] = found[model.UserRef{Env: x.env, ID: x.recipient.ID}]
		for _, attributes := range x.merges {
			all[i] = addressesWith(all[i], attributes)
		}
		all[i] = redirected(all[i], x.to)
		for _, a := range all[i] {
			asked = append(asked, model.ChannelAddress{Env: x.env, Channel: a.Channel, Address: a.Value})
		}
	}
	suppressed, err := s.Store.Suppressed(ctx, asked)
	if err != nil {
		return err
	}
	for i, x := range list {
		r := x.recipient
		r.Reach, r.Reachable = []model.Reach{}, []model.Channel{model.ChannelInApp}
		for _, a := range all[i] {
			if !a.Enabled {
				continue
			}
			r.Reach = append(r.Reach, model.Reach{Address: a, Suppressed: suppressed[model.ChannelAddress{Env: x.env, Channel: a.Channel, Address: a.Value}]})
			if !slices.Contains(r.Reachable, a.Channel) {
				r.Reachable = append(r.Reachable, a.Channel)
			}
		}
	}
	return nil
}

// redirected is addresses with those of the channels of to replaced.
func redirected(addresses []model.Address, to map[model.Channel]string) []model.Address {
	if len(to) == 0 {
		return addresses
	}
	out := slices.DeleteFunc(slices.Clone(addresses), func(a model.Address) bool { return to[a.Channel] != "" })
	for _, c := range slices.Sorted(maps.Keys(to)) {
		out = append(out, model.Address{Channel: c, Source: model.AddressAdded, Value: to[c], Enabled: true})
	}
	return out
}

// addressesWith is what addresses come to when attributes are merged into the
// profile.
func addressesWith(addresses []model.Address, attributes json.RawMessage) []model.Address {
	var members map[string]json.RawMessage
	if json.Unmarshal(attributes, &members) != nil {
		return addresses // none, or none that a profile would take
	}
	out := slices.Clone(addresses)
	for name, channels := range profileChannels {
		value, given := members[name]
		if !given {
			continue
		}
		out = slices.DeleteFunc(out, func(a model.Address) bool {
			return a.Source == model.AddressProfile && slices.Contains(channels, a.Channel)
		})
		var text string
		if bytes.Equal(value, []byte("null")) || json.Unmarshal(value, &text) != nil {
			continue
		}
		for i, c := range channels {
			a := model.Address{Channel: c, Source: model.AddressProfile, Value: text, Enabled: true}
			same := func(b model.Address) bool { return b.Channel == c && (b.Value == text || i > 0) }
			if !slices.ContainsFunc(out, same) {
				out = append(out, a)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b model.Address) int { return int(a.Channel) - int(b.Channel) })
	return out
}

// profileChannels are the channels that an attribute of the profile is an
// address for; those after the first only while nothing was added for them.
var profileChannels = map[string][]model.Channel{
	model.AttrEmail:       {model.ChannelEmail},
	model.AttrPhoneNumber: {model.ChannelSMS, model.ChannelWhatsApp, model.ChannelVoice},
}

// reachOf lists the recipients of jobs whose addresses are wanted. found has the
// recipients of all jobs, one after the other.
func reachOf(jobs []*job, found []model.Recipient) []reaching {
	var out []reaching
	for _, j := range jobs {
		mine := found[:j.weight()]
		found = found[j.weight():]
		if len(j.plan.carries) == 0 && (!j.wantPlan || !j.plan.needsAddresses()) {
			continue
		}
		known := slices.DeleteFunc(slices.Clone(mine), func(r model.Recipient) bool { return r.ID == 0 })
		if !j.req.DryRun && (j.isLarge(known) || j.scheduled() && !j.wantPlan) {
			continue // left to the expanders, or to when it fires
		}
		for i := range mine {
			x := reaching{recipient: &mine[i], env: j.env.ID, to: j.plan.options.Destinations}
			if j.req.DryRun {
				x.merges = j.merges(mine[i], i)
			}
			if x.recipient.ID != 0 || len(x.merges) > 0 {
				out = append(out, x)
			}
		}
		for i := range j.others {
			out = append(out, reaching{recipient: &j.others[i], env: j.env.ID})
		}
	}
	return out
}

// merges are the attributes that a real send would have merged into the profile
// of its i-th recipient before it decides.
func (j *job) merges(r model.Recipient, i int) (out []json.RawMessage) {
	in, inline := j.inline[j.names[i]]
	if r.ID == 0 && (inline || j.req.OnUnknown == model.UnknownCreate) {
		out = append(out, model.InitialAttributes(j.names[i]))
	}
	if inline && len(in.Attributes) > 0 {
		out = append(out, in.Attributes)
	}
	return out
}

// deliveries are those that go out for one notification, and the notes of those
// that the ladder said no to. It is asked of a channel that the environment
// uses and the send is for; that somebody has no address is worth a note only
// where the send names the channel, and that they are disabled is noted on
// their notification.
func (p *planner) deliveries(r model.Recipient, n *model.Notification) []model.PlannedDelivery {
	if len(p.carries) == 0 || !r.Enabled || r.SegmentSuppressed {
		return nil
	}
	var out []model.PlannedDelivery
	for _, c := range p.carries {
		d := model.PlannedDelivery{Delivery: model.Delivery{
			EnvID: n.EnvID, UserID: n.UserID, Channel: c, State: model.DeliverySkipped, ExpiresAt: n.ExpiresAt, CreatedAt: n.CreatedAt,
		}}
		var allowed bool
		allowed, d.Reason = p.allows(r, c)
		switch {
		case allowed:
			out = append(out, p.toEach(d, r)...)
		case d.Reason != model.ReasonNoAddress || p.requested != nil:
			out = append(out, d)
		}
	}
	return out
}

// toEach is one delivery for each address of its channel.
func (p *planner) toEach(d model.PlannedDelivery, r model.Recipient) (out []model.PlannedDelivery) {
	reason := d.Reason
	for _, a := range r.Reach {
		if a.Channel != d.Channel {
			continue
		}
		d.Address, d.Platform, d.Carrier = a.Value, a.Platform, a.Provider
		d.State, d.Reason = model.DeliveryQueued, reason
		if a.Suppressed {
			d.State, d.Reason = model.DeliverySkipped, model.ReasonSuppressed
		} else if e := p.options.Escalation(d.Channel); e != nil {
			d.After, d.Unless = e.After, e.Unless
		}
		out = append(out, d)
	}
	return out
}
