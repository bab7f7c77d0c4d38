package operation

import "context"

// Shortcut answers what it can without execution, exactly as execution would.
// Whatever is out of the ordinary, an error above all, it leaves to execution
// by returning false, so that everything has one form however it is answered.
type Shortcut interface {
	// Answer returns the data of a query.
	Answer(ctx context.Context, o *Operation) (data []byte, ok bool)
	// Encode returns the answer to an event of a subscription, {"data":…}. The
	// bytes may be shared between subscribers: nobody writes to them.
	Encode(o *Operation, event any) (answer []byte, ok bool)
}
