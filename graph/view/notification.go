package view

import (
	"context"
	"encoding/json"
	"time"

	"carillon/model"
)

// Notification is a send as one user sees it.
type Notification struct {
	*model.Notification
	load Loader
}

// NewNotification shows a notification; what it refers to comes from load.
func NewNotification(n *model.Notification, load Loader) *Notification {
	return &Notification{n, load}
}

// Notifications shows several.
func Notifications(ns []model.Notification, load Loader) []*Notification {
	rows := make([]Notification, len(ns))
	out := make([]*Notification, len(ns))
	for i := range ns {
		rows[i] = Notification{&ns[i], load}
		out[i] = &rows[i]
	}
	return out
}

// IsNode marks a Node.
func (*Notification) IsNode() {}

// ID is the opaque id.
func (n *Notification) ID() string { return NotificationID(n.Notification.ID) }

// Number is the id as text.
func (n *Notification) Number() string { return number(int64(n.Notification.ID)) }

// User is whose it is.
func (n *Notification) User(ctx context.Context) (*User, error) { return n.load.User(ctx, n.UserID) }

// Send is what it came from.
func (n *Notification) Send(ctx context.Context) (*Send, error) { return n.load.Send(ctx, n.SendID) }

// Category is what it was sent with.
func (n *Notification) Category(ctx context.Context) (*Category, error) {
	if n.CategoryID == 0 {
		return nil, nil
	}
	return n.load.Category(ctx, n.CategoryID)
}

// Title is the headline.
func (n *Notification) Title() string { return n.Content.Title }

// Body is the text.
func (n *Notification) Body() *string { return text(n.Content.Body) }

// Icon is the address of a picture.
func (n *Notification) Icon() *string { return text(n.Content.Icon) }

// URL is where a press leads.
func (n *Notification) URL() *string { return text(n.Content.URL) }

// Blocks are the parts that can be acted on.
func (n *Notification) Blocks() []*Block {
	out := make([]*Block, len(n.Content.Blocks))
	for i := range out {
		out[i] = &Block{&n.Content.Blocks[i]}
	}
	return out
}

// noData is what stands for data that was left out.
var noData = json.RawMessage("{}")

// Data is what the application sent along.
func (n *Notification) Data() json.RawMessage {
	if len(n.Content.Data) == 0 {
		return noData
	}
	return n.Content.Data
}

// KeptOutBy is the rule that kept it out of the inbox.
func (n *Notification) KeptOutBy() *model.Reason {
	if n.InInbox || n.Reason == 0 {
		return nil
	}
	return &n.Notification.Reason
}

// EditedAt is when the application changed what it says.
func (n *Notification) EditedAt() *time.Time { return moment(n.Content.EditedAt) }

// State is the application's own word.
func (n *Notification) State() *string { return text(n.Notification.State) }

// Block is a part of a notification that can be acted on.
type Block struct{ *model.Block }

// Text is the label.
func (b *Block) Text() *string { return text(b.Block.Text) }

// Link is where a press leads.
func (b *Block) Link() *string { return text(b.Block.Link) }

// Src is the address of a picture.
func (b *Block) Src() *string { return text(b.Block.Src) }

// Deliveries are how it went out over other channels.
func (n *Notification) Deliveries(ctx context.Context) ([]*Delivery, error) {
	return n.load.Deliveries(ctx, n.Notification.ID)
}
