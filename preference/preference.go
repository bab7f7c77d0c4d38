// Package preference decides whether a notification may use a channel to reach
// a user, and says which rule decided. It is a pure function of its input: it
// reads no database and no clock, and knows neither sends nor surfaces.
//
// # The ladder
//
// The rules are asked in a fixed order, and the first that has something to
// say decides:
//
//	USER_UNKNOWN           nobody has that identifier                 block
//	USER_DISABLED          the user is disabled                       block
//	NO_ADDRESS             there is no address for the channel        block
//	SUPPRESSED             the address is suppressed                  block
//	ADMIN_OFF              the environment does not use the channel   block
//	CHANNEL_NOT_REQUESTED  the send is for other channels             block
//	REQUIRED               the category requires the channel          allow
//	USER_CHANNEL_OFF       the user switched the channel off          block
//	USER_CATEGORY_CHANNEL  the user's choice for category and channel as chosen
//	USER_CATEGORY          the user's choice for the whole category   as chosen
//	USER_TOPIC             the channels the user is on the topic for  as chosen
//	CATEGORY_DEFAULT       the category's default, the channel's first as set
//	ENV_DEFAULT            a send without category                    allow
//
// So a required channel overrules what the user chose, but never an address
// that is missing, a channel that the environment does not use, or a disabled
// user; and a narrow choice beats a wide one, but for a channel that the user
// switched off everywhere.
package preference

import "carillon/model"

// Input is all that a decision depends on.
type Input struct {
	Known       bool            // the identifier names a user; if not, only Channel matters
	Enabled     bool            // the user is not disabled
	Reachable   []model.Channel // channels for which the user has an address
	Suppressed  []model.Channel // channels of which every address is suppressed
	ChannelsOff []model.Channel // channels that the environment does not use
	Requested   []model.Channel // channels that the send is for; nil: all
	Via         []model.Channel // channels that the user is on the topics for through which the send comes; nil: all, or through no topic
	Category    *model.Category // nil: none
	Choices     []model.Choice  // of the user; those about other categories are left aside
	Channel     model.Channel   // the channel in question
	// SegmentSuppressed says that the send came by segments only, for all of
	// which the user is suppressed: nothing else is asked.
	SegmentSuppressed bool
}

// Allows decides, and says by which rule. It is Decide without the text, and
// allocates nothing.
func Allows(in Input) (bool, model.Reason) {
	if in.SegmentSuppressed {
		return false, model.ReasonSegmentSuppressed
	}
	for _, rule := range ladder {
		if v := in.ask(rule); v != pass {
			return v == allow, rule
		}
	}
	return true, model.ReasonEnvDefault
}

// Decide decides, and tells of every rule in the order of the ladder: what it
// said, or that it was not asked.
func Decide(in Input) model.Decision {
	if in.SegmentSuppressed {
		return Told(in, false, model.ReasonSegmentSuppressed)
	}
	d := model.Decision{Ladder: make([]model.Rung, len(ladder))}
	for i, rule := range ladder {
		rung := model.Rung{Reason: rule, Outcome: model.RungNotReached}
		if d.Reason != 0 {
			rung.Detail = "not asked: " + d.Reason.String() + " had decided"
		} else {
			v := in.ask(rule)
			rung.Outcome, rung.Detail = v.outcome(), in.tell(rule, v)
			if v != pass {
				d.Allowed, d.Reason = v == allow, rule
			}
		}
		d.Ladder[i] = rung
	}
	return d
}

// verdict is what a rule says.
type verdict int8

const (
	pass verdict = iota
	allow
	block
)

func (v verdict) outcome() model.RungOutcome {
	switch v {
	case allow:
		return model.RungAllow
	case block:
		return model.RungBlock
	default:
		return model.RungPassed
	}
}

// String is "on" or "off", for sentences about switches.
func (v verdict) String() string {
	if v == allow {
		return "on"
	}
	return "off"
}

func blockIf(b bool) verdict {
	if b {
		return block
	}
	return pass
}

// as is the verdict of a switch.
func as(enabled bool) verdict {
	if enabled {
		return allow
	}
	return block
}

// Told is a decision of earlier, of which it is known how it ended and which
// rule decided: the rules before it had nothing to say. Of in it takes what the
// sentences name: channel and category.
func Told(in Input, allowed bool, reason model.Reason) model.Decision {
	d := model.Decision{Allowed: allowed, Reason: reason, Ladder: make([]model.Rung, len(ladder))}
	decided := reason == model.ReasonSegmentSuppressed
	for i, rule := range ladder {
		rung := model.Rung{Reason: rule, Outcome: model.RungNotReached}
		switch {
		case decided:
			rung.Detail = "not asked: " + reason.String() + " had decided"
		case rule == reason:
			v := as(allowed)
			rung.Outcome, rung.Detail, decided = v.outcome(), in.tell(rule, v), true
		default:
			rung.Outcome, rung.Detail = pass.outcome(), in.tell(rule, pass)
		}
		d.Ladder[i] = rung
	}
	if reason == model.ReasonSegmentSuppressed { // asked before the ladder, and shown only where it decided
		first := model.Rung{Reason: reason, Outcome: model.RungBlock, Detail: "the send came by segments for which the user is suppressed"}
		d.Ladder = append([]model.Rung{first}, d.Ladder...)
	}
	return d
}
