// Package seal encrypts what must be kept but never shown: signing secrets and
// the credentials of providers. It owns the master key's form and the layout
// of a sealed text, and knows neither what it seals nor where that is stored.
//
// A sealed text is bound to a context, the identity of the row that holds it:
// copied to another row it does not open.
package seal
