// Package auth says who is calling. It owns the forms of credentials (secret
// keys, user tokens, public key with user and signature), the [Caller] that a
// good one makes, the end of streams whose credential ends, and the making of
// new secrets. It is the only importer of golang-jwt.
//
// It does not decide what a caller may do beyond [RequireSecret] and
// [RequireUser], knows no GraphQL and no close codes, and reads credentials
// and users through the [Lookup] that it declares.
//
// # Wrong credentials
//
// A credential that is wrong in any way gives one and the same error: kind
// UNAUTHENTICATED and a message that never changes, so that an answer does not
// tell an unknown key from a wrong secret or an expired token. Why it was
// refused stands in the error's Err, for the log only. No credential at all is
// [ErrNone], so that a surface can let harmless requests through.
//
// # What is trusted when
//
// The record of a key fixes the algorithm, never the token. What an unverified
// token says is used for one thing only, finding the keys it must be verified
// with, and no header of it is ever fetched from anywhere. Cookies and query
// parameters are never credentials.
package auth
