// Package engage speaks the Engage dialect (engage.so): users, their events,
// devices, accounts and lists, at /v1 and, for the vendor's clients that leave
// it out, at the root. It is a translation: uid is the identifier, meta the
// attributes that have no field of their own, a list a topic, created_at the
// time of signing up.
//
// # Credentials
//
// HTTP Basic: the user name is the id of a credential of the kind ENGAGE, the
// password its secret. Some routes take the id alone, as clients in browsers
// and phones show it; what only a back end may do is 403 then.
//
// # Differences from the vendor
//
// A merge is done when the answer comes, although it says queued, and so is a
// batch. Dates without a zone are UTC. Each address of a mail gets a mail of its
// own. Broadcasts and the browser widget are not served.
package engage
