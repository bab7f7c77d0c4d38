package auth

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
)

// The request headers that carry credentials. X-Carillon-Signature is base64
// of HMAC-SHA256 over the bytes of the user identifier, with an API secret.
const (
	HeaderAuthorization = "Authorization"
	HeaderKey           = "X-Carillon-Key"
	HeaderUser          = "X-Carillon-User"
	HeaderSignature     = "X-Carillon-Signature"
)

// maxInit bounds what is read of a connection_init payload, in bytes.
const maxInit = 32 << 10

// Presented is what a request says about who is calling. An empty field was
// not sent: one sent empty never gets here.
type Presented struct {
	Authorization string // "Bearer …", as in the header
	Key           string // the environment's public key
	User          string // identifier
	Signature     string // of User

	// The rest comes from the dialects that have it, never from the headers
	// and payloads above.

	Secret string // an API secret of the environment of Key
	// Legacy says that Authorization must hold a token in the legacy form,
	// signed with RS256.
	Legacy bool
}

// FromRequest reads the credential headers. One that is sent twice or empty is
// refused; cookies and query parameters are not looked at.
func FromRequest(r *http.Request) (Presented, error) {
	var p Presented
	for _, f := range []struct {
		header string
		to     *string
	}{
		{HeaderAuthorization, &p.Authorization},
		{HeaderKey, &p.Key},
		{HeaderUser, &p.User},
		{HeaderSignature, &p.Signature},
	} {
		v, err := Header(r.Header, f.header)
		if err != nil {
			return Presented{}, err
		}
		*f.to = v
	}
	return p, nil
}

// Header returns the value of a header that carries a credential, or "" when
// it is absent. Sent twice, or sent empty, it is refused like a wrong one:
// neither of two is silently the right one.
func Header(h http.Header, name string) (string, error) {
	switch values := h.Values(name); {
	case len(values) == 0:
		return "", nil
	case len(values) > 1:
		return "", refuse("header %s is there %d times", name, len(values))
	case values[0] == "":
		return "", refuse("header %s is empty", name)
	default:
		return values[0], nil
	}
}

// FromInit reads the payload of a WebSocket connection_init, or of a ping that
// renews: an object with authorization, or with key, user and signature. Names
// fold as header names do, null is absent, other members are the client's own.
// When the payload has none of them, the credential is that of the upgrade
// request; otherwise the upgrade's does not count.
func FromInit(payload []byte, upgrade Presented) (Presented, error) {
	payload = bytes.TrimSpace(payload)
	if len(payload) == 0 || string(payload) == "null" {
		return upgrade, nil
	}
	if len(payload) > maxInit {
		return Presented{}, refuse("init payload has %d bytes", len(payload))
	}
	all, err := members(payload)
	if err != nil {
		return Presented{}, refuse("init payload: %w", err)
	}
	var p Presented
	fields := map[string]*string{"authorization": &p.Authorization, "key": &p.Key, "user": &p.User, "signature": &p.Signature}
	for name, raw := range all {
		to := fields[strings.ToLower(name)]
		if to == nil || string(raw) == "null" {
			continue
		}
		if *to != "" {
			return Presented{}, refuse("init payload has a member twice")
		}
		v, ok := text(raw)
		if !ok || v == "" {
			return Presented{}, refuse("init payload: a credential is no text, or empty")
		}
		*to = v
	}
	if p == (Presented{}) {
		return upgrade, nil
	}
	return p, nil
}

// members reads one JSON object and nothing after it. Names are exact and may
// not repeat: encoding/json folds their case and takes the last of two, so two
// readers of one signed text could see different things.
func members(data []byte) (map[string]json.RawMessage, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("not a JSON object")
	}
	out := make(map[string]json.RawMessage, 8)
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return nil, err
		}
		name, ok := t.(string)
		if !ok {
			return nil, errors.New("not a JSON object")
		}
		if _, ok := out[name]; ok {
			return nil, errors.New("a member is there twice")
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return nil, err
		}
		out[name] = raw
	}
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is something after the JSON object")
	}
	return out, nil
}

// text reads a JSON string; null is none.
func text(raw json.RawMessage) (string, bool) {
	var s string
	if len(raw) == 0 || raw[0] != '"' || json.Unmarshal(raw, &s) != nil {
		return "", false
	}
	return s, true
}
