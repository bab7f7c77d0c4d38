package lab

import "context"

// Recorded is what the log says of a delivery, or of the event of an endpoint.
type Recorded struct {
	ID, State string
	Attempts  []struct{ Number int } // first to last
}

const recordedDeliveries = `query { deliveries(first: 100) { nodes { id state attempts { number } } } }`

// RecordedDeliveries are the newest 100.
func (c *Client) RecordedDeliveries(ctx context.Context) ([]Recorded, error) {
	var out struct {
		Deliveries struct{ Nodes []Recorded }
	}
	err := c.Do(ctx, recordedDeliveries, nil, &out)
	return out.Deliveries.Nodes, err
}

const recordedEvents = `query ($endpoint: ID!) { webhookEvents(endpoint: $endpoint, first: 100) { nodes { id state attempts { number } } } }`

// RecordedEvents are the newest 100 of an endpoint.
func (c *Client) RecordedEvents(ctx context.Context, endpoint string) ([]Recorded, error) {
	var out struct {
		WebhookEvents struct{ Nodes []Recorded }
	}
	err := c.Do(ctx, recordedEvents, map[string]any{"endpoint": endpoint}, &out)
	return out.WebhookEvents.Nodes, err
}
