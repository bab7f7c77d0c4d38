package preference

import (
	"fmt"
	"slices"

	"carillon/model"
)

// ladder is the order of the rules. The last one always decides.
var ladder = [...]model.Reason{
	model.ReasonUserUnknown,
	model.ReasonUserDisabled,
	model.ReasonNoAddress,
	model.ReasonSuppressed,
	model.ReasonAdminOff,
	model.ReasonChannelNotRequested,
	model.ReasonRequired,
	model.ReasonUserChannelOff,
	model.ReasonUserCategoryChannel,
	model.ReasonUserCategory,
	model.ReasonUserTopic,
	model.ReasonCategoryDefault,
	model.ReasonEnvDefault,
}

// ask is what a rule says. It is a switch and not a table of functions so that
// the input stays on the stack: fan-outs ask for every recipient.
func (in *Input) ask(rule model.Reason) verdict {
	switch rule {
	case model.ReasonUserUnknown:
		return blockIf(!in.Known)
	case model.ReasonUserDisabled:
		return blockIf(!in.Enabled)
	case model.ReasonNoAddress:
		return blockIf(!slices.Contains(in.Reachable, in.Channel))
	case model.ReasonSuppressed:
		return blockIf(slices.Contains(in.Suppressed, in.Channel))
	case model.ReasonAdminOff:
		return blockIf(slices.Contains(in.ChannelsOff, in.Channel))
	case model.ReasonChannelNotRequested:
		return blockIf(in.Requested != nil && !slices.Contains(in.Requested, in.Channel))
	case model.ReasonRequired:
		if in.Category != nil && slices.Contains(in.Category.RequiredChannels, in.Channel) {
			return allow
		}
	case model.ReasonUserChannelOff:
		enabled, found := in.choice(0, in.Channel)
		return blockIf(found && !enabled)
	case model.ReasonUserCategoryChannel:
		return in.inCategory(in.Channel)
	case model.ReasonUserCategory:
		return in.inCategory(0)
	case model.ReasonCategoryDefault:
		return in.byDefault()
	case model.ReasonEnvDefault:
		return allow
	case model.ReasonDuplicate: // decided when a send is saved
	case model.ReasonUserTopic:
		if in.Via != nil {
			return as(slices.Contains(in.Via, in.Channel))
		}
	case model.ReasonSegmentSuppressed:
		// It is asked before the ladder, and about no channel in particular.
	}
	return pass
}

// choice finds the user's choice about exactly this category and channel.
func (in *Input) choice(category model.CategoryID, channel model.Channel) (enabled, found bool) {
	i := slices.IndexFunc(in.Choices, func(c model.Choice) bool { return c.Category == category && c.Channel == channel })
	if i < 0 {
		return false, false
	}
	return in.Choices[i].Enabled, true
}

// inCategory is the user's choice about the send's category, for one channel
// of it or, with channel zero, the whole.
func (in *Input) inCategory(channel model.Channel) verdict {
	if in.Category == nil {
		return pass
	}
	if enabled, found := in.choice(in.Category.ID, channel); found {
		return as(enabled)
	}
	return pass
}

// byDefault is what the category says to users who chose nothing.
func (in *Input) byDefault() verdict {
	if in.Category == nil {
		return pass
	}
	if enabled, found := in.Category.ChannelDefaults[in.Channel]; found {
		return as(enabled)
	}
	return as(in.Category.DefaultEnabled)
}

// tell is what a rule said, in a sentence for people.
func (in *Input) tell(rule model.Reason, v verdict) string {
	say := func(decided, passed string) string {
		if v == pass {
			return passed
		}
		return decided
	}
	switch rule {
	case model.ReasonUserUnknown:
		return say("no user has this identifier", "the user is known")
	case model.ReasonUserDisabled:
		return say("the user is disabled", "the user is enabled")
	case model.ReasonNoAddress:
		return fmt.Sprintf(say("the user has no address for %s", "the user can be reached over %s"), in.Channel)
	case model.ReasonSuppressed:
		return fmt.Sprintf(say("every address for %s is suppressed", "no address for %s is suppressed"), in.Channel)
	case model.ReasonAdminOff:
		return fmt.Sprintf(say("the environment does not use %s", "the environment uses %s"), in.Channel)
	case model.ReasonChannelNotRequested:
		return fmt.Sprintf(say("the send is for other channels than %s", "the send may use %s"), in.Channel)
	case model.ReasonUserChannelOff:
		return fmt.Sprintf(say("the user switched %s off everywhere", "the user did not switch %s off everywhere"), in.Channel)
	case model.ReasonUserTopic:
		switch v {
		case allow:
			return fmt.Sprintf("the user is on the topic for %s", in.Channel)
		case block:
			return fmt.Sprintf("the user is on the topic for other channels than %s", in.Channel)
		default:
			return "the send is not for a topic that the user chose about"
		}
	case model.ReasonEnvDefault:
		return "a send without category is on unless something above says otherwise"
	default:
		return in.tellOfCategory(rule, v)
	}
}

// tellOfCategory is tell for the rules that a send without category passes.
func (in *Input) tellOfCategory(rule model.Reason, v verdict) string {
	if in.Category == nil {
		return "the send has no category"
	}
	switch name := in.Category.Identifier; {
	case rule == model.ReasonRequired && v == pass:
		return fmt.Sprintf("the category %q does not require %s", name, in.Channel)
	case rule == model.ReasonRequired:
		return fmt.Sprintf("the category %q requires %s", name, in.Channel)
	case rule == model.ReasonUserCategoryChannel && v == pass:
		return fmt.Sprintf("the user chose nothing for %s of the category %q", in.Channel, name)
	case rule == model.ReasonUserCategoryChannel:
		return fmt.Sprintf("the user switched %s of the category %q %s", in.Channel, name, v)
	case rule == model.ReasonUserCategory && v == pass:
		return fmt.Sprintf("the user chose nothing for the whole category %q", name)
	case rule == model.ReasonUserCategory:
		return fmt.Sprintf("the user switched the whole category %q %s", name, v)
	default:
		if _, own := in.Category.ChannelDefaults[in.Channel]; own {
			return fmt.Sprintf("%s of the category %q is %s by default", in.Channel, name, v)
		}
		return fmt.Sprintf("the category %q is %s by default", name, v)
	}
}
