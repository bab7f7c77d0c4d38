// Package authtest helps tests that need somebody to call: a [World] of
// environments in memory, each with a credential of every kind, and the means
// to sign and to forge tokens. It uses no database.
package authtest
