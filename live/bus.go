package live

import (
	"context"

	"carillon/model"
)

// Bus carries hints from one process to the others. It is the weakest thing
// that will do: a bus may lose, double and reorder hints, without saying so, and
// a caller must stay correct when it loses all of them (see the package's
// comment). Only a [Hub] talks to it.
//
// All methods may be called from several goroutines.
type Bus interface {
	// Publish hands the hints to the other processes that watch their keys, in
	// one round trip however many there are. It never hands them back to this
	// bus. Nil means that they left this process, not that anybody heard; an
	// error means that some or all were lost, and must not be retried: healing
	// is cheaper. It gives up when ctx ends and keeps neither the slice nor, once
	// it has returned, anything in it.
	//
	// The hints of one key that one process publishes one after the other
	// arrive in that order, as long as no call fails. A hint may arrive without
	// its Change when that is larger than model.MaxHint.
	Publish(ctx context.Context, hints []model.Hint) error

	// Listen delivers what other processes publish until ctx is done. It is
	// called once. A link that is broken, or was never there, is its own to
	// mend: it keeps trying and logs, and has no error to return.
	Listen(ctx context.Context, to Listener)

	// Watch says that this process now has a watcher of the key, Unwatch that
	// it has one no longer. The Hub calls them in pairs, for the first and the
	// last watcher of a key. They return at once: a subscription that must be
	// made first is made later, and when it stands the bus calls
	// Listener.Resync, since what was published before that has passed by.
	Watch(key model.LiveKey)
	Unwatch(key model.LiveKey)

	// Healthy reports whether the link stands, as far as the bus can tell.
	Healthy() bool
}

// Listener takes what a bus receives. A bus calls it from one goroutine, and
// none of its methods wait.
type Listener interface {
	// Watches reports whether this process watches the key, so that a bus need
	// not decode what nobody wants.
	Watches(key model.LiveKey) bool
	// Deliver hands over one hint, for any key.
	Deliver(h model.Hint)
	// Resync says that hints may have been lost until just now: the link came
	// up, or a subscription was made. What is watched must be compared with the
	// database.
	Resync()
}
