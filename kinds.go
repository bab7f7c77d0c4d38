package main

import (
	"carillon/delivery"
	"carillon/delivery/apns"
	"carillon/delivery/discord"
	"carillon/delivery/fcm"
	"carillon/delivery/log"
	"carillon/delivery/slack"
	"carillon/delivery/smtp"
	"carillon/delivery/teams"
	"carillon/delivery/twilio"
	"carillon/delivery/webhook"
	"carillon/delivery/webpush"
	"carillon/model"
)

// kinds are the sorts of provider that this server has.
func kinds(keys webpush.Keys) delivery.Kinds {
	return delivery.NewKinds(
		apns.Kind, discord.Kind, fcm.Kind, log.Kind, slack.Kind, smtp.Kind, teams.Kind, twilio.Kind, webhook.Kind, webpush.NewKind(keys),
	)
}

// deliveryGauges has the numbers of deliveries read at each scrape.
func (s *server) deliveryGauges() {
	d := s.parts.delivery
	s.metrics.Gauge("carillon_deliveries_busy", "Deliveries that this process works on.", func() float64 { return float64(d.Numbers().Busy) })
	s.metrics.Gauge("carillon_deliveries_oldest_due_seconds", "How long the oldest due delivery has been due, when this process last looked.", func() float64 { return d.Numbers().Oldest.Seconds() })
	s.metrics.Counter("carillon_deliveries_lost_total", "Results that came too late to count: another process had the delivery by then.", func() float64 { return float64(d.Numbers().Lost) })
	for outcome := range d.Receipts() {
		s.metrics.LabelledCounter("carillon_receipts_total", "Reports of providers, by what came of them; UNVERIFIED counts calls.",
			map[string]string{"outcome": outcome}, func() float64 { return float64(d.Receipts()[outcome]) })
	}
	for _, c := range model.Channels() {
		for class := model.ErrorClass(0); class <= model.ClassUnknown; class++ {
			outcome := class.String()
			if class == 0 {
				outcome = "TAKEN"
			}
			s.metrics.LabelledCounter("carillon_delivery_attempts_total", "Attempts to deliver, by channel and outcome.",
				map[string]string{"channel": c.String(), "outcome": outcome}, func() float64 { return float64(d.Attempts(c, class)) })
		}
	}
}
