package main

import (
	"carillon/webhook"
)

// webhookGauges has the numbers of webhook endpoints read at each scrape. None is
// of a single endpoint: there may be very many.
func (s *server) webhookGauges() {
	w := s.parts.webhooks
	s.metrics.Gauge("carillon_webhook_endpoints_busy", "Webhook endpoints that this process tells of events.", func() float64 { return float64(w.Numbers().Busy) })
	s.metrics.Gauge("carillon_webhook_lag_seconds", "How long after it happened an event was told for the first time, of the last that this process told.", func() float64 { return w.Numbers().Lag.Seconds() })
	s.metrics.Counter("carillon_webhook_events_failed_total", "Events that were given up.", func() float64 { return float64(w.Numbers().Failed) })
	s.metrics.Counter("carillon_webhook_endpoints_disabled_total", "Endpoints that were disabled for having failed too long, or since they answered 410.", func() float64 { return float64(w.Numbers().Disabled) })
	for _, class := range webhook.Classes() {
		outcome := class.String()
		if class == 0 {
			outcome = "TAKEN"
		}
		s.metrics.LabelledCounter("carillon_webhook_attempts_total", "Calls to webhook endpoints, by outcome.",
			map[string]string{"outcome": outcome}, func() float64 { return float64(w.Calls(class)) })
	}
}
