// Package dial is the one way out: every connection that the server makes on
// behalf of what somebody typed, be it a webhook's URL, a mail server or the push
// endpoint of a browser, is dialled here. It refuses addresses that are not public,
// at the moment of dialling and on the real address, so that no spelling, name,
// redirect or change of a name's answer leads into the operator's own network; an
// operator may allow prefixes. It uses no proxy, follows no redirect, unpacks
// nothing, and bounds how long an answer may take and how much of it is read.
//
// It does not know what is sent, and judges no answer.
package dial
