package smtp

import (
	"slices"
	"strings"

	gomail "github.com/wneessen/go-mail"

	"carillon/model"
)

// classOf goes by the enhanced status codes of RFC 3463 where there are any, and
// by code, the place in the dialogue and what is said where there are none.
func classOf(code int, enhanced string, at gomail.SendErrReason, said string) model.ErrorClass {
	switch {
	case isAuth(code):
		return model.ClassAuth
	case code < 500 && (strings.HasPrefix(enhanced, "4.7.") || enhanced == "4.5.3"):
		return model.ClassRateLimited
	case code < 500, enhanced == "5.2.2": // a mailbox that is full
		return model.ClassTransient
	case at == gomail.ErrSMTPMailFrom, enhanced == "5.1.7", enhanced == "5.1.8":
		return model.ClassConfig // we may not send as this address
	}
	switch enhanced {
	case "5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1":
		return model.ClassAddressDead
	case "", "5.0.0", "5.1.0": // which say nothing
		if at == gomail.ErrSMTPRcptTo {
			return classOfRecipient(code, said)
		}
	}
	return model.ClassPermanent
}

// classOfRecipient judges a refusal of the recipient without an enhanced status
// code. A bare 550 may be a mailbox that is gone, and as well a policy, a full
// disk or a sender that they do not like; suppressing an address that lives does
// more harm than another try at one that does not. So the address is dead only
// where nothing else can be meant.
func classOfRecipient(code int, said string) model.ErrorClass {
	switch code {
	case 552: // full, or too many at once: to be taken for a 452, says RFC 5321
		return model.ClassTransient
	case 556: // the domain takes no mail at all, says RFC 7504
		return model.ClassAddressDead
	case 550, 551, 553, 554:
		said = strings.ToLower(said)
		within := func(words string) bool { return strings.Contains(said, words) }
		if slices.ContainsFunc(noMailbox, within) && !slices.ContainsFunc(otherwise, within) {
			return model.ClassAddressDead
		}
	}
	return model.ClassPermanent
}

// noMailbox is how mail servers say that there is no such mailbox.
var noMailbox = []string{
	"user unknown", "unknown user", "no such user", "user not found", "user does not exist", "user doesn't exist", "user not local", "not a valid user", "no user by that name",
	"mailbox not found", "no such mailbox", "unknown mailbox", "no mailbox here", "mailbox does not exist", "invalid mailbox",
	"recipient unknown", "unknown recipient", "no such recipient", "recipient not found", "invalid recipient", "recipient does not exist",
	"address unknown", "unknown address", "no such address", "address does not exist", "unrouteable address", "unroutable address",
	"account does not exist", "no such account",
}

// otherwise are words by which such a refusal is about something else: the sender,
// our server, or a rule.
var otherwise = []string{"sender", "verif", "relay", "spam", "block", "policy", "spf", "dkim", "dmarc", "authenticat", "reputation"}
