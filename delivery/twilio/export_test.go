package twilio

import (
	"encoding/base64"
	"net/url"
)

// Sign signs a call to the URL as Twilio does.
func Sign(token, at string, form url.Values) string {
	return base64.StdEncoding.EncodeToString(mac(token, at, form))
}
