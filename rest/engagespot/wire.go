package engagespot

import (
	"encoding/json"
	"strings"
	"time"

	"carillon/model"
)

// Time is a time as Engagespot writes it: ISO 8601 in UTC with milliseconds.
type Time time.Time

// MarshalJSON writes the time.
func (t Time) MarshalJSON() ([]byte, error) {
	return []byte(time.Time(t).UTC().Format(`"2006-01-02T15:04:05.000Z"`)), nil
}

// timeOrNull is null for a time that never was.
func timeOrNull(t time.Time) *Time {
	if t.IsZero() {
		return nil
	}
	wire := Time(t)
	return &wire
}

// textOrNull is null for no text.
func textOrNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// Notification is an item of an inbox, in lists, alone and in live events.
type Notification struct {
	ID        int64           `json:"id"`
	Title     string          `json:"title"`
	Message   *string         `json:"message"`
	Icon      *string         `json:"icon"`
	URL       *string         `json:"url"`
	Data      json.RawMessage `json:"data"` // always an object: some clients read its members unasked
	Category  *CategoryRef    `json:"category,omitempty"`
	Blocks    []Block         `json:"blocks"`
	CreatedAt Time            `json:"createdAt"`
	SeenAt    *Time           `json:"seenAt"`
	ClickedAt *Time           `json:"clickedAt"`
	State     string          `json:"state"`
}

// CategoryRef is the category of a notification.
type CategoryRef struct {
	ID         int64  `json:"id"`
	Identifier string `json:"identifier"`
	Name       string `json:"name"`
}

// Block is an actionable part of a notification.
type Block struct {
	ID           string `json:"id"`
	Type         string `json:"type"`
	Text         string `json:"text,omitempty"`
	Variant      string `json:"variant"`
	Link         string `json:"link,omitempty"`
	ExternalLink bool   `json:"externalLink,omitempty"`
	Src          string `json:"src,omitempty"`
}

// NewNotification shows a notification. Its category is looked up among
// categories; one that is gone is left out.
func NewNotification(n model.Notification, categories map[model.CategoryID]model.Category) Notification {
	out := Notification{
		ID: int64(n.ID), Title: n.Content.Title, Message: textOrNull(n.Content.Body), Icon: textOrNull(n.Content.Icon), URL: textOrNull(n.Content.URL),
		Data: n.Content.Data, Blocks: make([]Block, len(n.Content.Blocks)),
		CreatedAt: Time(n.CreatedAt), SeenAt: timeOrNull(n.SeenAt), ClickedAt: timeOrNull(n.ReadAt), State: state(n),
	}
	if out.Data == nil {
		out.Data = json.RawMessage("{}")
	}
	if c, ok := categories[n.CategoryID]; ok {
		out.Category = &CategoryRef{ID: int64(c.ID), Identifier: c.Identifier, Name: c.Name}
	}
	for i, b := range n.Content.Blocks {
		out.Blocks[i] = Block{
			ID: b.ID, Type: wireWord(b.Type), Text: b.Text, Variant: wireWord(b.Variant),
			Link: b.Link, ExternalLink: b.ExternalLink, Src: b.Src,
		}
	}
	return out
}

// state is the customer's own state or, without one, what the marks come to.
func state(n model.Notification) string {
	switch {
	case n.State != "":
		return n.State
	case !n.ReadAt.IsZero():
		return "clicked"
	case !n.SeenAt.IsZero():
		return "seen"
	}
	return "unread"
}

// wireWord is one of our words for a block's type or variant as Engagespot
// writes it: RATING_STAR is rating-star.
func wireWord(ours string) string { return strings.ReplaceAll(strings.ToLower(ours), "_", "-") }

// ourWord is the inverse of wireWord.
func ourWord(wire string) string { return strings.ReplaceAll(strings.ToUpper(wire), "-", "_") }

// LiveNotification is a notification as a live event has it: with the names
// that older clients read, too.
type LiveNotification struct {
	Notification
	Description  *string `json:"description"`
	CreatedAtOld Time    `json:"created_at"`
}

// NewLiveNotification shows a notification to clients of any age.
func NewLiveNotification(n model.Notification, categories map[model.CategoryID]model.Category) LiveNotification {
	wire := NewNotification(n, categories)
	return LiveNotification{Notification: wire, Description: wire.Message, CreatedAtOld: wire.CreatedAt}
}

// Category is what people choose about.
type Category struct {
	ID                      int64  `json:"id"`
	Identifier              string `json:"identifier"`
	Name                    string `json:"name"`
	HideInInApp             bool   `json:"hideInInApp"`
	HideInPreferenceManager bool   `json:"hideInPreferenceManager"`
	CreatedAt               Time   `json:"createdAt"`
	UpdatedAt               Time   `json:"updatedAt"`
}

func newCategory(c model.Category) Category {
	return Category{
		ID: int64(c.ID), Identifier: c.Identifier, Name: c.Name, HideInInApp: c.HideInInbox, HideInPreferenceManager: c.HideInPrefs,
		CreatedAt: Time(c.CreatedAt), UpdatedAt: Time(c.UpdatedAt),
	}
}

func newCategories(list []model.Category) []Category {
	out := make([]Category, len(list))
	for i, c := range list {
		out[i] = newCategory(c)
	}
	return out
}

// done is the answer where there is nothing to say.
type done struct {
	StatusCode int    `json:"statusCode"`
	Message    string `json:"message"`
}

func said(message string) done { return done{StatusCode: 200, Message: message} }

// channels are Engagespot's names of channels. VOICE has none; what it calls
// chat is whatever messenger has no name of its own there.
var channels = map[string]model.Channel{
	"inApp": model.ChannelInApp, "webPush": model.ChannelWebPush, "email": model.ChannelEmail, "mobilePush": model.ChannelMobilePush,
	"sms": model.ChannelSMS, "whatsapp": model.ChannelWhatsApp, "webhook": model.ChannelWebhook, "discord": model.ChannelDiscord,
	"slack": model.ChannelSlack, "chat": model.ChannelTeams,
}

var channelNames = func() map[model.Channel]string {
	out := make(map[model.Channel]string, len(channels))
	for name, c := range channels {
		out[c] = name
	}
	return out
}()
