// Package playground serves GraphiQL from the binary: a page to explore the API
// in, with working subscriptions and a panel to choose a credential. Nothing
// comes from elsewhere. It is a client of the GraphQL API like any other and
// knows no more than a browser does, but for the presets it is given.
//
// dist holds GraphiQL 4.1.2 and React 18.3.1 as their authors built them
// (licences beside them); page holds what is ours.
package playground

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"io"
	"io/fs"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"path"
	"strings"

	"carillon/internal/reqlog"
)

//go:embed dist/*.js dist/*.css page
var files embed.FS

// policy keeps the page to this server. GraphiQL sets styles inline; scripts
// are files.
const policy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; " +
	"connect-src 'self'; worker-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

// Preset is a credential that the panel offers by name.
type Preset struct {
	Name          string `json:"name"`
	Authorization string `json:"authorization,omitempty"` // "Bearer …"
	Key           string `json:"key,omitempty"`           // public key, with User
	User          string `json:"user,omitempty"`
}

// Playground serves the page at / and its files below /playground/.
type Playground struct {
	// Presets are shown to browsers on this machine only: they are secrets.
	Presets []Preset
}

// Mount registers the routes.
func (p *Playground) Mount(mux *http.ServeMux) {
	mux.HandleFunc("GET /{$}", p.page)
	mux.HandleFunc("GET /favicon.ico", p.icon)
	mux.HandleFunc("GET /playground/presets.json", p.presets)
	mux.HandleFunc("GET /playground/{file}", p.file)
}

func (p *Playground) page(w http.ResponseWriter, r *http.Request) {
	reqlog.SetRoute(r.Context(), "/")
	serve(w, r, "page/index.html")
}

func (p *Playground) icon(w http.ResponseWriter, r *http.Request) {
	reqlog.SetRoute(r.Context(), "/favicon.ico")
	serve(w, r, "page/icon.svg")
}

func (p *Playground) file(w http.ResponseWriter, r *http.Request) {
	reqlog.SetRoute(r.Context(), "/playground/:file")
	name := path.Base(r.PathValue("file"))
	for _, folder := range []string{"page/", "dist/"} {
		if _, err := fs.Stat(files, folder+name); err == nil {
			serve(w, r, folder+name)
			return
		}
	}
	missing(w)
}

// missing says, in the form of the API's answers, that there is no such file.
func missing(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(http.StatusNotFound)
	_, _ = io.WriteString(w, `{"errors":[{"message":"the playground has no such file","extensions":{"code":"NOT_FOUND"}}]}`+"\n") // a browser that is gone needs no answer
}

func serve(w http.ResponseWriter, r *http.Request, name string) {
	b, err := files.ReadFile(name)
	if err != nil {
		missing(w)
		return
	}
	sum := sha256.Sum256(b)
	tag := `"` + hex.EncodeToString(sum[:12]) + `"`
	h := w.Header()
	h.Set("Content-Type", mime.TypeByExtension(path.Ext(name)))
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-cache") // ask again; the tag makes that cheap
	h.Set("ETag", tag)
	if strings.Contains(r.Header.Get("If-None-Match"), tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	_, _ = w.Write(b) //nolint:gosec // a file of ours; a browser that is gone needs no page
}

func (p *Playground) presets(w http.ResponseWriter, r *http.Request) {
	reqlog.SetRoute(r.Context(), "/playground/presets.json")
	list := []Preset{}
	if local(r) {
		list = append(list, p.Presets...)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_ = json.NewEncoder(w).Encode(list)
}

// local reports whether the request comes from a page of this server, opened on
// this machine by a name of this machine: a page from elsewhere, also one whose
// name was made to point here, is not.
func local(r *http.Request) bool {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !from.Addr().Unmap().IsLoopback() || r.Header.Get("X-Forwarded-For") != "" {
		return false
	}
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
		return false
	}
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && addr.Unmap().IsLoopback()
}
