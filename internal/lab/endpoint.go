package lab

import (
	"context"
	"fmt"
)

const createEndpoint = `mutation ($url: String!, $types: [String!]) { createWebhookEndpoint(input: {url: $url, types: $types}) { webhookEndpoint { id } userErrors { code path message } } }`

// Endpoint has url told of events of some types, and returns the endpoint's id.
func (c *Client) Endpoint(ctx context.Context, url string, types ...string) (string, error) {
	var out struct {
		CreateWebhookEndpoint struct {
			WebhookEndpoint struct{ ID string }
			UserErrors      []userError
		}
	}
	err := c.Do(ctx, createEndpoint, map[string]any{"url": url, "types": types}, &out)
	if e := out.CreateWebhookEndpoint.UserErrors; err == nil && len(e) > 0 {
		err = fmt.Errorf("making an endpoint: %v", e)
	}
	return out.CreateWebhookEndpoint.WebhookEndpoint.ID, err
}

const listEvents = `query ($endpoint: ID!, $states: [WebhookEventState!]) { webhookEvents(endpoint: $endpoint, states: $states, first: 100) { nodes { id state } } }`

// Events lists the newest 100 that an endpoint was or is to be told of, and that
// are in one of some states, as "id state".
func (c *Client) Events(ctx context.Context, endpoint string, states ...string) ([]string, error) {
	var out struct {
		WebhookEvents struct {
			Nodes []struct{ ID, State string }
		}
	}
	err := c.Do(ctx, listEvents, map[string]any{"endpoint": endpoint, "states": states}, &out)
	list := make([]string, len(out.WebhookEvents.Nodes))
	for i, n := range out.WebhookEvents.Nodes {
		list[i] = n.ID + " " + n.State
	}
	return list, err
}
