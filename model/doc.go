// Package model holds the nouns of the notification server and the rules that
// are true of them everywhere: an app owns environments, an environment owns
// users, a send becomes one notification for each user it reaches, a
// notification lies in one user's inbox, a delivery carries one notification
// over one channel to one address, an attempt is one try of it.
//
// The package sits on the ground floor. It imports the standard library only,
// reads no clock, opens no connection and knows no wire format beyond JSON, so
// every other package may import it without a cycle. A rule that needs a row
// from the database or the time of day lives in the service that owns it.
//
// # Scope
//
// Every stored noun carries an [EnvID]. No function in this module takes a
// bare record id without one: an id read in the wrong environment is not
// found, never merely hidden.
//
// # Ids
//
// What stands on hot rows has an integer id below 2^53, all from one sequence
// ([AppID], [EnvID], [UserID], [SendID], [NotificationID], [CategoryID],
// [TopicID]), so no two nouns share one. Everything else has time-ordered text.
//
// # Times
//
// All times are UTC and whole microseconds: that is what both databases keep.
package model
