// Package live wakes the streams that are open in this process when what they
// watch has changed, in whichever process it was changed.
//
// It owns who watches which key, the contract of the bus between processes
// ([Bus]) with its in-process form ([Memory]), and the healing of what a bus
// loses. It does not know what an inbox is, who may watch it, or what a watcher
// does with a hint, and it keeps nothing: the database is the truth, and a hint
// only says that it is worth a look. package live/redis carries hints between
// processes; whoever publishes or watches uses a [Hub] and sees no bus.
//
// # Why losing is safe
//
// Every change of a key has a seq that only grows. A watcher reads the database
// once when it begins, after [Hub.Watch], and from then on knows its own
// position; a hint at or below it is old, one just above it carries the change,
// and any other means that something was missed and is to be read. What no hint
// reports, [Hub.Run] finds: every few seconds, and whenever the bus was away, it
// compares the seq of all watched keys with the database in one query. A change
// therefore reaches its streams at once, or within [DefaultHeal].
//
// # Costs
//
// A watched key takes about 200 bytes. A hint costs its publisher two short
// locks and the call of each local watcher; other processes hear of it from a
// goroutine that sends what has gathered, so no request ever waits for a network.
package live
