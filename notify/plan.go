package notify

import (
	"bytes"
	"encoding/json"
	"slices"

	"carillon/model"
	"carillon/preference"
)

// planner decides for the recipients of one send. It is pure: what it needs to
// know of a user is in the recipient.
type planner struct {
	requested []model.Channel // nil: all
	category  *model.Category // nil: none
	off       []model.Channel // what the environment does not use
	used      []model.Channel // what it uses
	shown     []model.Channel // what a plan has a row for: the used and the requested
	carries   []model.Channel // what deliveries may be made for: the used and, if any are, requested, but for the inbox
	options   model.SendOptions
}

func newPlanner(env model.Environment, requested []model.Channel, category *model.Category, options model.SendOptions) planner {
	p := planner{requested: requested, category: category, options: options}
	for _, c := range model.Channels() {
		if env.Uses(c) {
			p.used = append(p.used, c)
			if c != model.ChannelInApp && (requested == nil || slices.Contains(requested, c)) {
				p.carries = append(p.carries, c)
			}
		} else {
			p.off = append(p.off, c)
		}
		if env.Uses(c) || slices.Contains(requested, c) {
			p.shown = append(p.shown, c)
		}
	}
	return p
}

func (p *planner) input(r model.Recipient, c model.Channel) preference.Input {
	return preference.Input{
		Known: true, Enabled: r.Enabled, Reachable: r.Reachable, Choices: r.Choices, Category: p.category,
		ChannelsOff: p.off, Requested: p.requested, Via: r.OnlyVia, Channel: c, Suppressed: suppressed(r, c), SegmentSuppressed: r.SegmentSuppressed,
	}
}

// allows asks the ladder.
func (p *planner) allows(r model.Recipient, c model.Channel) (bool, model.Reason) {
	return preference.Allows(p.input(r, c))
}

// suppressed lists the channel if nothing is sent to any of its addresses.
func suppressed(r model.Recipient, c model.Channel) []model.Channel {
	found := false
	for _, a := range r.Reach {
		if a.Channel == c {
			if !a.Suppressed {
				return nil
			}
			found = true
		}
	}
	if !found {
		return nil
	}
	return []model.Channel{c}
}

// decide says whether the recipient's notification lies in the inbox, which
// rule said so, and whether any channel reaches them at all.
func (p *planner) decide(r model.Recipient) (inInbox bool, reason model.Reason, reached bool) {
	inInbox, reason = preference.Allows(p.input(r, model.ChannelInApp))
	reached = inInbox
	for i := 0; !reached && i < len(p.used); i++ {
		reached, _ = preference.Allows(p.input(r, p.used[i]))
	}
	return inInbox, reason, reached
}

// explain decides for every channel that a plan shows, with the ladder.
func (p *planner) explain(r model.Recipient) []model.ChannelPlan {
	out := make([]model.ChannelPlan, len(p.shown))
	for i, c := range p.shown {
		out[i] = model.ChannelPlan{Channel: c, Decision: preference.Decide(p.input(r, c))}
		for _, a := range r.Reach {
			if a.Channel == c && !a.Suppressed && out[i].Decision.Allowed {
				out[i].Addresses = append(out[i].Addresses, a.Value)
			}
		}
	}
	return out
}

// weighsAddresses reports whether decide asks for more than the inbox.
func (p *planner) weighsAddresses() bool {
	return len(p.used) > 1 || len(p.used) == 1 && p.used[0] != model.ChannelInApp
}

// needsAddresses reports whether explain asks for more than the inbox, which
// everyone has.
func (p *planner) needsAddresses() bool {
	return len(p.shown) > 1 || len(p.shown) == 1 && p.shown[0] != model.ChannelInApp
}

// identified is the recipient as identifying them with in would leave them. It
// is for dry runs, which identify nobody.
func identified(r model.Recipient, in model.IdentifyInput) model.Recipient {
	if r.Reach != nil {
		r.Identifier, r.Enabled = in.Identifier, r.Enabled || r.ID == 0 // what they can be reached over was read with what is merged
		return r
	}
	if r.ID == 0 {
		r = model.Recipient{Identifier: in.Identifier, Enabled: true, Reachable: []model.Channel{model.ChannelInApp}}
		r.Reachable = reachableWith(r.Reachable, model.InitialAttributes(in.Identifier))
	}
	r.Reachable = reachableWith(r.Reachable, in.Attributes)
	return r
}

// reachableWith is what reachable comes to when attributes are merged into the
// profile.
func reachableWith(reachable []model.Channel, attributes json.RawMessage) []model.Channel {
	var members map[string]json.RawMessage
	if json.Unmarshal(attributes, &members) != nil {
		return reachable // none, or none that a profile would take
	}
	out := slices.Clone(reachable)
	for name, channels := range profileChannels {
		value, given := members[name]
		if !given {
			continue
		}
		out = slices.DeleteFunc(out, func(c model.Channel) bool { return slices.Contains(channels, c) })
		if !bytes.Equal(value, []byte("null")) {
			out = append(out, channels...)
		}
	}
	slices.Sort(out)
	return out
}
