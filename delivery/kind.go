package delivery

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"time"

	"carillon/internal/dial"
	"carillon/model"
)

// Kind is a sort of provider, such as "smtp". A provider package exports one.
type Kind struct {
	// Name is unique among the kinds: lower-case letters and digits.
	Name     string
	Title    string // for people, such as "SMTP"
	Channels []model.Channel
	// Fields are the settings that an account has.
	Fields []Field
	// Dedupes says that the provider drops a message with an id that it has
	// seen, so that one with an unknown outcome may be sent again.
	Dedupes bool
	// Reports says that its senders are [Receiver]s.
	Reports bool
	// Timeout is the most that an attempt may take; zero: DefaultTimeout.
	Timeout time.Duration
	// New makes a sender. The settings have passed [Kind.Check]; what is wrong
	// with them besides is a KindInvalid *model.Error whose paths begin with
	// "config" or "secrets" and the field's name. New reaches for no network.
	New func(a Account, out Outside) (Sender, error)
}

// DefaultTimeout is what an attempt may take, dialling included.
const DefaultTimeout = 15 * time.Second

// Account is a customer's account at a provider: the settings that its kind
// asks for. Both are JSON objects of the members that the fields name.
type Account struct {
	Provider model.ProviderID
	Env      model.EnvID
	Channel  model.Channel // what it is used for
	Config   json.RawMessage
	Secrets  json.RawMessage
	// Callback is where the provider can report to; empty: this server does not
	// know its public address.
	Callback string
}

// Into decodes settings and secrets into the two structs (either may be nil).
func (a Account) Into(config, secrets any) error {
	for _, part := range []struct {
		text json.RawMessage
		into any
	}{{a.Config, config}, {a.Secrets, secrets}} {
		if part.into == nil || len(part.text) == 0 {
			continue
		}
		if err := json.Unmarshal(part.text, part.into); err != nil {
			return model.Errorf(model.KindInvalid, "the provider's settings do not have the form that its kind asks for")
		}
	}
	return nil
}

// Outside is how a sender reaches the world, and the only way it may: it
// refuses private addresses when it dials and follows no redirects.
type Outside struct {
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	HTTP *http.Client
	// Guard is what the dialer goes by: with it a setting is refused when it is
	// saved.
	Guard dial.Guard
	TLS   *tls.Config      // to start from for protocols other than HTTP; nil: the default
	Log   *slog.Logger     // never nil
	Now   func() time.Time // never nil
}

// FieldType is what a field holds.
type FieldType string

// The types of field.
const (
	FieldText    FieldType = "TEXT"    // one line
	FieldLong    FieldType = "LONG"    // several lines, such as a key in PEM
	FieldNumber  FieldType = "NUMBER"  // a whole number
	FieldBoolean FieldType = "BOOLEAN" // true or false
	FieldChoice  FieldType = "CHOICE"  // one of Options
)

// Field is one setting of an account. Secrets are kept encrypted and never
// shown again; an empty optional field is left out.
type Field struct {
	Name     string
	Help     string // what it is, for people
	Type     FieldType
	Secret   bool
	Required bool
	Options  []string // of a CHOICE
	Min, Max int64    // of a NUMBER; both zero: any
}

// maxSetting bounds a text setting in bytes.
const maxSetting = 16 << 10

// Check says everything that is wrong with settings, as far as the fields tell.
func (k *Kind) Check(config, secrets json.RawMessage) error {
	var c model.Check
	k.check(c.At("config"), config, false)
	k.check(c.At("secrets"), secrets, true)
	return c.Err()
}

func (k *Kind) check(c *model.Check, object json.RawMessage, secret bool) {
	var members map[string]json.RawMessage
	if len(object) > 0 && json.Unmarshal(object, &members) != nil {
		c.Add(model.ProblemInvalid, "must be an object")
		return
	}
	for _, f := range k.Fields {
		if f.Secret != secret {
			continue
		}
		value, given := members[f.Name]
		switch {
		case given && string(value) != "null":
			f.check(c, value)
		case f.Required:
			c.Add(model.ProblemRequired, "is required: "+f.Help, f.Name)
		}
		delete(members, f.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if i := slices.IndexFunc(k.Fields, func(f Field) bool { return f.Name == name }); i >= 0 && secret {
			c.Add(model.ProblemInvalid, "is no secret: it belongs into config", name)
		} else if i >= 0 {
			c.Add(model.ProblemInvalid, "is a secret: it belongs into secrets, where it is kept encrypted", name)
		} else {
			c.Add(model.ProblemInvalid, "is no setting of a provider of the kind "+k.Name, name)
		}
	}
}

func (f Field) check(c *model.Check, value json.RawMessage) {
	switch f.Type {
	case FieldBoolean:
		var b bool
		c.That(json.Unmarshal(value, &b) == nil, "must be true or false", f.Name)
	case FieldNumber:
		var n int64
		if json.Unmarshal(value, &n) != nil {
			c.Add(model.ProblemInvalid, "must be a whole number", f.Name)
		} else if (f.Min != 0 || f.Max != 0) && (n < f.Min || n > f.Max) {
			c.Add(model.ProblemInvalid, "must be "+between(f.Min, f.Max), f.Name)
		}
	case FieldText, FieldLong, FieldChoice:
		f.checkText(c, value)
	}
}

func (f Field) checkText(c *model.Check, value json.RawMessage) {
	var s string
	switch {
	case json.Unmarshal(value, &s) != nil:
		c.Add(model.ProblemInvalid, "must be text", f.Name)
	case s == "" && f.Required:
		c.Add(model.ProblemRequired, "must not be empty: "+f.Help, f.Name)
	case model.CheckText(s, maxSetting) != "":
		c.Add(model.ProblemInvalid, model.CheckText(s, maxSetting), f.Name)
	case f.Type == FieldText && hasLineBreak(s):
		c.Add(model.ProblemInvalid, "must be one line", f.Name)
	case f.Type == FieldChoice && s != "" && !slices.Contains(f.Options, s):
		c.Add(model.ProblemInvalid, "must be one of "+list(f.Options), f.Name)
	}
}
