package graph_test

import (
	"strings"

	"carillon/graph/view"
	"carillon/model"
)

// seedWebhooks makes an endpoint each for two apps, which hear of nothing that
// the operations do, and an event that one of them has taken.
func (w *world) seedWebhooks(shop, other *environment, eve model.User) {
	t, ctx := w.t, w.t.Context()
	for _, env := range []*environment{shop, other} {
		out := must(w.webhooks.Create(ctx, env.ID, model.Once{}, model.WebhookEndpointInput{
			URL: "https://hooks.example.com/" + env.AppName, Types: []string{"user.merged"}, Enabled: true,
		}))(t).Value
		w.names[env.AppName+"/hook"] = view.WebhookEndpointID(out.Endpoint.ID)
	}
	hook := strings.TrimPrefix(w.names["shop/hook"], "whk_")
	w.exec(`insert into webhook_events (env_id, endpoint_id, id, type, user_id, data, state, attempt, tries, run_at, occurred_at, updated_at)
		values (?, ?, 'event1', 'user.updated', ?, '{}', 3, 1, 1, ?, ?, ?)`, int64(shop.ID), hook, int64(eve.ID), start.UnixMicro(), start.UnixMicro(), start.UnixMicro())
	w.exec(`insert into webhook_attempts (env_id, endpoint_id, event_id, n, started_at, took, class, status, answer, detail, next_at)
		values (?, ?, 'event1', 1, ?, 1500, 0, 204, '', '', 0)`, int64(shop.ID), hook, start.UnixMicro())
	w.names["shop/hook/event"] = view.WebhookEventID("event1")
}
