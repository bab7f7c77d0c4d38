package engagespot

import (
	_ "embed"
	"net/http"
	"strings"
)

// WorkerPath is where [Worker] belongs.
const WorkerPath = "/engagespot/worker.js"

//go:embed worker.js
var worker string

// Worker serves the script that shows web pushes, for the service workers of
// sites to import. A script that is imported cannot know where it came from, so
// it is told: clicks go to the server that it was asked of, with the API key
// that the query names.
func Worker(w http.ResponseWriter, r *http.Request) {
	scheme := "https"
	if r.TLS == nil && r.Header.Get("X-Forwarded-Proto") != "https" {
		scheme = "http"
	}
	header := w.Header()
	header.Set("Content-Type", "text/javascript; charset=utf-8")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Access-Control-Allow-Origin", "*")
	header.Set("Cross-Origin-Resource-Policy", "cross-origin")
	header.Set("Cache-Control", "no-cache")
	filled := strings.NewReplacer("%API%", scheme+"://"+harmless(r.Host)+"/v3", "%KEY%", harmless(r.URL.Query().Get("apiKey"))).Replace(worker)
	_, _ = w.Write([]byte(filled)) //nolint:gosec // harmless lets nothing through that ends a text; else the client has gone
}

// harmless is a host or a key as a client wrote it, which can be trusted with
// nothing: what neither may have in it is left out, so that it ends no text of
// a script.
func harmless(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune(".-:[]_", r):
			return r
		}
		return -1
	}, text)
}
