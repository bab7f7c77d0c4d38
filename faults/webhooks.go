package main

import (
	"context"
	"fmt"
	"time"

	"carillon/internal/lab"
)

// events are what an endpoint of the application is told, one for each
// notification that is made. What a worker had claimed when it died comes again
// under the webhook-id that it has, and nothing is left in the queue.
var events = cargo{
	name: "events", takes: 150 * time.Millisecond, sink: lab.NewEventSink, title: func(p promise) string { return p.id },
	order: func(ctx context.Context, c *lab.Client, url string, _ []string) (func(context.Context) error, error) {
		endpoint, err := c.Endpoint(ctx, url, "notification.created")
		return func(ctx context.Context) error { return arrivedAll(ctx, c, endpoint) }, err
	},
}

// arrivedAll waits until an endpoint has been told everything, and sees that nothing was
// given up.
func arrivedAll(ctx context.Context, c *lab.Client, endpoint string) error {
	if err := lab.Poll(ctx, deliverWithin, func() error {
		left, err := c.Events(ctx, endpoint, "QUEUED", "ATTEMPTING")
		if err == nil && len(left) > 0 {
			err = fmt.Errorf("%d events or more are left, the newest of them %s", len(left), left[0])
		}
		return err
	}); err != nil {
		return err
	}
	failed, err := c.Events(ctx, endpoint, "FAILED")
	if err == nil && len(failed) > 0 {
		err = fmt.Errorf("%d events or more were given up, the newest of them %s", len(failed), failed[0])
	}
	return err
}
