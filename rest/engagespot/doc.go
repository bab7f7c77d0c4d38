// Package engagespot speaks the REST dialect of Engagespot v3 (at /v3, and at
// /v4 where its clients ask there), so that its real client libraries work here
// when their base URL changes.
//
// It is a translation: wire.go holds Engagespot's JSON, the other files what
// each route asks of which service. It has no rule and no table of its own.
// What differs from Engagespot stands in docs/moving/engagespot.md.
// Requests and answers are pinned in testdata.
package engagespot
