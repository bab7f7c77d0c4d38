package delivery

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"carillon/model"
)

// Sender sends messages with one account at a provider. Its methods may be
// called concurrently.
type Sender interface {
	// Send tries once to hand m to the provider, and never retries by itself:
	// the queue does that, in one place. It returns when the provider has
	// answered or ctx is done, whose deadline is the time an attempt may take.
	//
	// A failure is an *[Error], which says what kind of failure it was. Any
	// other error counts as TRANSIENT when it is certain that nothing was
	// written (it wraps a *net.OpError of a dial), else as UNKNOWN. What an
	// error says is shown to the application: it must not hold credentials.
	Send(ctx context.Context, m Message) (Receipt, error)
}

// Chooser is implemented by senders that cannot serve every address of their
// channel, such as those of one platform's tokens.
type Chooser interface {
	// Takes reports whether the sender can reach this address.
	Takes(to Target) bool
}

// Prober is implemented by senders that can find out whether their account
// works without sending anything. The error is as that of [Sender].
type Prober interface {
	Probe(ctx context.Context) error
}

// Receiver is implemented by senders whose provider calls back to say what
// became of messages.
type Receiver interface {
	// Receive verifies a call from the provider and returns what it reports.
	// A call that cannot be verified is [ErrUnverified], whatever is wrong with
	// it; nothing of it is looked at before that. url is the address that the
	// provider called, with its query; empty: this server does not know its own.
	Receive(ctx context.Context, url string, header http.Header, body []byte) ([]model.Report, error)
}

// Target is where a message goes.
type Target struct {
	// Address is what the channel understands: an e-mail address, a phone
	// number in E.164, a push token, a webhook's URL; for WEB_PUSH the
	// browser's PushSubscription as JSON.
	Address  string
	Platform model.Platform // of push tokens; else empty
}

// Message is what is sent. Everything in it has been rendered: a provider puts
// it into its protocol's form and escapes it there, and renders nothing.
type Message struct {
	// ID names the delivery. It is the same at every attempt and handed to the
	// provider wherever it drops messages that it has seen. It consists of
	// letters, digits, - and _, at most 64.
	ID      model.DeliveryID
	Attempt int // 1 for the first
	Channel model.Channel
	To      Target

	// Notification and Send are the ids that callers know; Recipient is the
	// user's identifier, Name what they are called (may be empty).
	Notification model.NotificationID
	Send         string // its request id
	Recipient    string
	Name         string
	Locale       string // BCP 47; may be empty
	Category     string // identifier; may be empty

	Title  string // subject of an e-mail; never empty
	Text   string // may be empty
	HTML   string // e-mail only; may be empty: the text is all there is
	URL    string // where a press leads; may be empty
	Icon   string // a URL; may be empty
	Blocks []model.Block
	Data   json.RawMessage // the send's own object; nil: none
	// Edition is how often what the send says had been edited by now. Nobody is
	// sent it; attempts keep it.
	Edition int64

	// CollapseKey: a newer message with the same key replaces an older one that
	// was not shown yet, where the channel can do that. May be empty.
	CollapseKey string
	// Headers are for channels that have them (EMAIL, WEBHOOK): names in
	// canonical form, values without line breaks.
	Headers map[string]string
	// Attachments go with e-mails; nil: none. They are shared: nobody changes
	// them.
	Attachments []model.Attachment
	// Unsubscribe is an address for one-click unsubscription (RFC 8058) by
	// POST; empty: this message cannot be unsubscribed from.
	Unsubscribe string
	// Overrides is what the send says about this provider's kind alone: members
	// that the provider merges into its protocol's object. Nil: nothing.
	Overrides json.RawMessage

	FiredAt time.Time // when the send fired: the message's date
	// ExpiresAt ends the message's use; never zero. [Message.TTL] is what is
	// left of it.
	ExpiresAt time.Time
}

// TTL is how long the message is of use at now; never negative.
func (m Message) TTL(now time.Time) time.Duration { return max(0, m.ExpiresAt.Sub(now)) }

// Receipt is what a provider said when it took a message.
type Receipt struct {
	MessageID string // the provider's own; may be empty
	Status    int    // of HTTP or SMTP; zero: the protocol has none
	Answer    string // the beginning of it; what is over model.MaxAnswer is cut off
}
