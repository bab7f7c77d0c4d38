// Package notify takes requests to notify: it checks them, finds out who is
// meant, lets package preference decide for each of them, saves everything in
// one transaction and then wakes the streams. It fires scheduled sends, cancels
// them, and tells how a send is getting on.
//
// It does not know how a user is identified, what a category is for, how a
// stream is served, or which surface was called: these come in through small
// interfaces, and what goes out are package model's nouns and errors.
//
// # Sharing commits
//
// Sends that arrive while another is being written wait for it and then share
// one transaction ([Service.Send]); there is no timer, so an idle server writes
// a send at once. A transaction that fails is tried again send by send. What
// was acknowledged is committed; hints go out after the commit and never
// before.
//
// # Dry runs
//
// A dry run is the same code up to the transaction, which it leaves out.
package notify
