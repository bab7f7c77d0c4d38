package view

import (
	"context"
	"time"

	"carillon/model"
)

// Send is one accepted request to notify.
type Send struct {
	*model.Send
	load Loader
}

// NewSend shows a send; its category comes from load.
func NewSend(s *model.Send, load Loader) *Send { return &Send{s, load} }

// Sends shows several.
func Sends(ss []model.Send, load Loader) []*Send {
	out := make([]*Send, len(ss))
	for i := range ss {
		out[i] = NewSend(&ss[i], load)
	}
	return out
}

// IsNode marks a Node.
func (*Send) IsNode() {}

// ID is the opaque id.
func (s *Send) ID() string { return SendID(s.Send.ID) }

// Title is the headline.
func (s *Send) Title() string { return s.Content.Title }

// Category is what it was sent with.
func (s *Send) Category(ctx context.Context) (*Category, error) {
	if s.CategoryID == 0 {
		return nil, nil
	}
	return s.load.Category(ctx, s.CategoryID)
}

// RecalledAt is when it was taken back.
func (s *Send) RecalledAt() *time.Time { return moment(s.Send.RecalledAt) }

// Edition is how often what it says was edited.
func (s *Send) Edition() int64 { return s.Content.Edition }

// EditedAt is when it was edited last.
func (s *Send) EditedAt() *time.Time { return moment(s.Content.EditedAt) }

// Progress counts the recipients.
func (s *Send) Progress() *SendProgress { return &SendProgress{s.Send.Progress} }

// SendProgress counts the recipients of a send.
type SendProgress struct{ model.SendProgress }

// Total is null while it is not known.
func (p *SendProgress) Total() *int64 {
	if p.SendProgress.Total < 0 {
		return nil
	}
	return &p.SendProgress.Total
}

// RecipientPlan is what was decided for one recipient.
type RecipientPlan struct {
	*model.RecipientPlan
	load Loader
}

// Plan shows the plan of a send.
func Plan(ps []model.RecipientPlan, load Loader) []*RecipientPlan {
	out := make([]*RecipientPlan, len(ps))
	for i := range ps {
		out[i] = &RecipientPlan{&ps[i], load}
	}
	return out
}

// User is the recipient; null when they are yet to be created.
func (p *RecipientPlan) User(ctx context.Context) (*User, error) {
	if p.UserID == 0 {
		return nil, nil
	}
	return p.load.User(ctx, p.UserID)
}

// Notification is what was made for the recipient.
func (p *RecipientPlan) Notification(ctx context.Context) (*Notification, error) {
	if p.RecipientPlan.Notification == 0 {
		return nil, nil
	}
	return p.load.Notification(ctx, p.RecipientPlan.Notification)
}
