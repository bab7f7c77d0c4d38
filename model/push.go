package model

// PushKey is the key pair with which an environment proves to browsers' push
// services that a push is its own (VAPID). Subscriptions are bound to it, so an
// environment has one for as long as it exists.
type PushKey struct {
	EnvID  EnvID
	Public string // the point on P-256, uncompressed, as base64url without padding: what a page subscribes with
	Sealed []byte // the private key, encrypted with the master key
}
