// Package redis is the live bus between processes: package live's Bus over Redis
// pub/sub, and the only importer of go-redis.
//
// It owns the channels, the encoding of hints and one subscribing connection.
// It does not know who watches or why, and keeps nothing in Redis: it sends
// PUBLISH, SUBSCRIBE, UNSUBSCRIBE and PING and no other command but those of
// logging in (HELLO or AUTH, and SELECT when the URL names a database), so a
// Redis that is emptied, replaced or shared with others loses nothing here.
//
// # Channels
//
// A key is hashed to one of 64 channels, carillon:<namespace>:<0-63>. A process
// subscribes to the channels of the keys that it watches. A fan-out to
// thousands of keys is thus at most 64 messages, and a process hears of keys
// that it does not watch, which it skips without decoding them. Processes with
// different databases have different namespaces and never hear each other.
//
// # Messages
//
// A message holds hints in the order in which they were published:
//
//	version   1 byte, now 1; a message with another is not understood
//	sender    8 bytes; a bus skips its own messages
//	contents  count, then each as length and bytes: what the hints below refer
//	          to, since the notifications of one send share their content
//	hints     count, then each as
//	          kind (1 byte), flags (1 byte: 1 change follows, 2 gone, 4 rewound),
//	          environment, id, seq, and the change as length and bytes
//
// Counts, lengths and references are unsigned varints; ids, seqs and times (in
// microseconds since 1970) signed ones, most as the difference to the one
// before; text and JSON follow their length. A change that is larger than
// model.MaxHint with its contents is left out; its hint still tells the seq.
package redis
