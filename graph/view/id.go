package view

import (
	"strconv"
	"strings"

	"carillon/model"
)

// Kind is the type that an opaque id names; it is also the id's prefix.
type Kind string

// The kinds of id.
const (
	KindApp          Kind = "app"
	KindUser         Kind = "usr"
	KindNotification Kind = "ntf"
	KindSend         Kind = "snd"
	KindCategory     Kind = "cat"
	KindTopic        Kind = "top"
	KindTemplate     Kind = "tpl"
	KindLayout       Kind = "lay"
	KindSegment      Kind = "seg"
	KindDevice       Kind = "dev"
	KindCredential   Kind = "crd"
	KindAddress      Kind = "adr"
	KindDelivery     Kind = "dlv"
	KindProvider     Kind = "prv"
	KindSuppression  Kind = "sup"
)

// maxTextID is more than any text id of ours has, in bytes.
const maxTextID = 64

// Ref is an opaque id taken apart. Number is set for everything but
// what has text ids; for a device or address it is its user. Text is set for devices,
// addresses, credentials, deliveries, providers and suppressions.
type Ref struct {
	Kind   Kind
	Number int64
	Text   string
}

// String writes the id as clients hold it: "usr_42", "crd_<text>",
// "dev_<user>_<text>".
func (r Ref) String() string {
	switch r.Kind {
	case KindCredential, KindDelivery, KindProvider, KindSuppression:
		return string(r.Kind) + "_" + r.Text
	case KindDevice, KindAddress:
		return string(r.Kind) + "_" + number(r.Number) + "_" + r.Text
	default:
		return string(r.Kind) + "_" + number(r.Number)
	}
}

// ParseRef takes an id apart; false for text that String never writes.
func ParseRef(s string) (Ref, bool) {
	prefix, rest, _ := strings.Cut(s, "_")
	id := Ref{Kind: Kind(prefix)}
	var ok bool
	switch id.Kind {
	case KindApp, KindUser, KindNotification, KindSend, KindCategory, KindTopic, KindTemplate, KindLayout, KindSegment:
		id.Number, ok = parseNumber(rest)
	case KindCredential, KindDelivery, KindProvider, KindSuppression:
		id.Text, ok = rest, IsTextID(rest)
	case KindDevice, KindAddress:
		user, text, _ := strings.Cut(rest, "_")
		id.Number, ok = parseNumber(user)
		id.Text, ok = text, ok && IsTextID(text)
	}
	if !ok {
		return Ref{}, false
	}
	return id, true
}

// UserID writes the id of a user.
func UserID(id model.UserID) string { return Ref{Kind: KindUser, Number: int64(id)}.String() }

// NotificationID writes the id of a notification.
func NotificationID(id model.NotificationID) string {
	return Ref{Kind: KindNotification, Number: int64(id)}.String()
}

// SendID writes the id of a send.
func SendID(id model.SendID) string { return Ref{Kind: KindSend, Number: int64(id)}.String() }

// CategoryID writes the id of a category.
func CategoryID(id model.CategoryID) string {
	return Ref{Kind: KindCategory, Number: int64(id)}.String()
}

// TopicID writes the id of a topic.
func TopicID(id model.TopicID) string { return Ref{Kind: KindTopic, Number: int64(id)}.String() }

// SegmentID writes the id of a segment.
func SegmentID(id model.SegmentID) string {
	return Ref{Kind: KindSegment, Number: int64(id)}.String()
}

// CredentialID writes the id of a credential.
func CredentialID(id model.CredentialID) string {
	return Ref{Kind: KindCredential, Text: string(id)}.String()
}

// DeviceID writes the id of a user's device.
func DeviceID(user model.UserID, id model.DeviceID) string {
	return Ref{Kind: KindDevice, Number: int64(user), Text: string(id)}.String()
}

// EventID writes the id of an event.
func EventID(id model.EventID) string { return "evt_" + string(id) }

// MergeID writes the id of the record of a merge.
func MergeID(id model.MergeID) string { return "mrg_" + string(id) }

// AddressID writes the id of an address that was added to a user.
func AddressID(user model.UserID, id model.AddressID) string {
	return Ref{Kind: KindAddress, Number: int64(user), Text: string(id)}.String()
}

// DeliveryID writes the id of a delivery.
func DeliveryID(id model.DeliveryID) string {
	return Ref{Kind: KindDelivery, Text: string(id)}.String()
}

// ProviderID writes the id of a provider.
func ProviderID(id model.ProviderID) string {
	return Ref{Kind: KindProvider, Text: string(id)}.String()
}

// SuppressionID writes the id of a suppression.
func SuppressionID(id model.SuppressionID) string {
	return Ref{Kind: KindSuppression, Text: string(id)}.String()
}

func number(n int64) string { return strconv.FormatInt(n, 10) }

// parseNumber reads what number writes, and nothing else: no sign, no zero in
// front, nothing that is no id.
func parseNumber(s string) (int64, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && n > 0 && n <= model.MaxID && number(n) == s
}

// IsTextID reports whether s has the form of a text id.
func IsTextID(s string) bool {
	if s == "" || len(s) > maxTextID {
		return false
	}
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' {
			return false
		}
	}
	return true
}

// TemplateID writes the id of a template.
func TemplateID(id model.TemplateID) string {
	return Ref{Kind: KindTemplate, Number: int64(id)}.String()
}

// LayoutID writes the id of a layout.
func LayoutID(id model.LayoutID) string { return Ref{Kind: KindLayout, Number: int64(id)}.String() }

// ErasureID writes the id of the receipt of an erasure.
func ErasureID(id model.ErasureID) string { return erasurePrefix + string(id) }

// ParseErasureID reads what ErasureID writes.
func ParseErasureID(s string) (model.ErasureID, bool) {
	id, ok := strings.CutPrefix(s, erasurePrefix)
	return model.ErasureID(id), ok && IsTextID(id)
}

const erasurePrefix = "era_"
