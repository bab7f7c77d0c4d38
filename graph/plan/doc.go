// Package plan answers the inbox query and the inbox stream without the
// generated executor, which takes a context for every field and a goroutine for
// every element of a list: an operation is compiled once, into the list of what
// is to be written, and then written as JSON from the model's own values.
//
// It covers what inboxes are asked all the time and nothing else. [Compile]
// says no to everything that it does not know to the last detail (directives,
// fields of other types, other arguments), and the generated executor takes it.
// Both give the same text for the same answer; the golden operations of package
// graph run through both.
//
// A Plan knows no service and no caller: package graph asks it what to read,
// reads it, and has it written.
package plan
