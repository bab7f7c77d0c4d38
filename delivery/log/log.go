// Package log is a provider for trying things: it writes a line to the server's
// log and calls nobody.
package log

import (
	"context"

	"carillon/delivery"
	"carillon/model"
)

// Kind is the log.
var Kind = &delivery.Kind{
	Name: "log", Title: "Log",
	Channels: []model.Channel{
		model.ChannelEmail, model.ChannelSMS, model.ChannelWhatsApp, model.ChannelMobilePush, model.ChannelWebPush, model.ChannelSlack,
		model.ChannelDiscord, model.ChannelTeams, model.ChannelVoice, model.ChannelWebhook,
	},
	Dedupes: true,
	New:     func(_ delivery.Account, out delivery.Outside) (delivery.Sender, error) { return sender{out}, nil },
}

type sender struct{ out delivery.Outside }

// Send implements [delivery.Sender]. The address stays out of the log.
func (s sender) Send(ctx context.Context, m delivery.Message) (delivery.Receipt, error) {
	if err := ctx.Err(); err != nil {
		return delivery.Receipt{}, err
	}
	s.out.Log.InfoContext(ctx, "notification",
		"channel", m.Channel.String(), "delivery", m.ID, "attempt", m.Attempt, "send", m.Send, "title", m.Title, "text", m.Plain())
	return delivery.Receipt{MessageID: string(m.ID)}, nil
}

// Probe implements [delivery.Prober]: there is always a log.
func (s sender) Probe(context.Context) error { return nil }
