package auth

import (
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"carillon/model"
)

// Source is where a request comes from.
type Source struct {
	Address string // IP address of the client
	Origin  string // header Origin; empty: not a browser's cross-origin request
}

// SourceOf reads the source of a request: its network peer, which behind a
// proxy is the proxy, and its Origin header.
func SourceOf(r *http.Request) Source {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	// Two Origins joined are the origin of nobody.
	return Source{Address: host, Origin: strings.Join(r.Header.Values("Origin"), ", ")}
}

// OriginAllowed reports whether a page of origin may act as a user of the
// environment: when its list of origins is empty, when it lists this one or
// "*", or when there is no origin, since the list binds browsers only. Scheme
// and host fold their case and a default port may be left out; a path never
// matches.
func OriginAllowed(env model.Environment, origin string) bool {
	list := env.Settings.Origins
	if len(list) == 0 || origin == "" || slices.Contains(list, "*") {
		return true
	}
	wanted := normalOrigin(origin)
	return slices.ContainsFunc(list, func(o string) bool { return normalOrigin(o) == wanted })
}

func normalOrigin(origin string) string {
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" {
		return origin // such as "null"
	}
	scheme, host := strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	switch {
	case scheme == "https":
		host = strings.TrimSuffix(host, ":443")
	case scheme == "http":
		host = strings.TrimSuffix(host, ":80")
	}
	u.Scheme, u.Host = scheme, host
	return u.String()
}

// checkOrigin refuses a page that may not act as a user. What a secret key may
// do does not depend on where it is used.
func checkOrigin(c Caller, from Source) error {
	if c.Kind == User && !OriginAllowed(c.Env, from.Origin) {
		return model.Errorf(model.KindForbidden, "the page's origin is not on the list of the environment")
	}
	return nil
}
