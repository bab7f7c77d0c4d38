// Package delivery carries notifications over channels other than the inbox:
// it takes what is due from the queue, asks the preference ladder once more,
// has a provider send it, and records what came of it. It owns the schedule of
// retries, the limits and breakers of providers, and what the words for their
// failures mean. It knows no provider: each is a package below this one.
//
// A provider package exports one [Kind]. It says which settings an account at
// the provider has, checks them, and makes a [Sender] of them. A Sender tries
// once and says what happened; whatever follows from that is decided here, in
// one place. Package deliverytest has the contract test that all of them pass.
package delivery
