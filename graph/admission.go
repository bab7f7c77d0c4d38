package graph

import (
	"context"

	"carillon/graph/operation"
	"carillon/internal/admission"
	"carillon/internal/shed"
)

// admit is the engine's Admit: each root field of an operation counts by
// itself.
func admit(desk *admission.Desk) func(context.Context, *operation.Operation) (leave func(), err error) {
	return func(ctx context.Context, o *operation.Operation) (leave func(), err error) {
		return desk.Admit(ctx, addressOf(ctx), o.Fields(), classOf(o))
	}
}

// searching are the root fields that may be asked again later, sending those
// that an application waits for; a person waits for the others.
var (
	searching = map[string]bool{
		"users": true, "notifications": true, "sends": true, "scheduledSends": true, "topics": true, "segments": true,
		"deliveries": true, "webhookEvents": true, "previewSegment": true, "exportUser": true,
	}
	sending = map[string]bool{"sendNotification": true, "identifyUsers": true, "identifyUser": true, "subscribeToTopic": true, "unsubscribeFromTopic": true}
)

// costs are those of fields that read much more than they answer, in objects: a
// secret key may ask for four in one operation.
var costs = map[string]int{"previewSegment": 4_000, "exportUser": 4_000}

// classOf is how urgent an operation is: as its least urgent field.
func classOf(o *operation.Operation) shed.Class {
	class := shed.Reading
	for _, field := range o.RootFields() {
		switch {
		case searching[field]:
			return shed.Searching
		case sending[field]:
			class = shed.Sending
		}
	}
	return class
}

type addressKey struct{}

// withAddress notes where a request comes from.
func withAddress(ctx context.Context, address string) context.Context {
	return context.WithValue(ctx, addressKey{}, address)
}

func addressOf(ctx context.Context) string {
	address, _ := ctx.Value(addressKey{}).(string)
	return address
}
