package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"carillon/app"
	"carillon/internal/config"
	"carillon/model"
	"carillon/store"
)

const (
	demoApp = "demo"
	urlName = "CARILLON_URL"
)

// ensureDemo makes the demo app at the first start of an embedded server, and
// writes its keys to a file that only its owner can read. It returns the
// file's path, or "" when there is no demo.
func ensureDemo(ctx context.Context, cfg config.Config, parts *parts) (string, error) {
	path := filepath.Join(cfg.DataDir, "demo.env")
	if !cfg.Demo || store.IsPostgres(cfg.Database()) {
		return "", nil
	}
	envs, err := parts.apps.Environments(ctx)
	if err != nil {
		return "", err
	}
	if len(envs) > 0 {
		if _, err := os.Stat(path); err != nil {
			return "", nil //nolint:nilerr // made by hand: there is no demo
		}
		return path, moveDemo(path, baseURL(cfg.Addr))
	}
	test, err := parts.apps.CreateEnvironment(ctx, app.NewEnvironment{App: demoApp, Kind: model.EnvTest, UserAuth: model.AuthOpen})
	if err != nil {
		return "", fmt.Errorf("making demo app: %w", err)
	}
	production, err := parts.apps.CreateEnvironment(ctx, app.NewEnvironment{App: demoApp, Kind: model.EnvLive, UserAuth: model.AuthToken})
	if err != nil {
		return "", fmt.Errorf("making demo app: %w", err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# Keys of the demo app. Read them with:  . %s\n", path)
	fmt.Fprintf(&b, "%s=%s\n", urlName, baseURL(cfg.Addr))
	writeKeys(&b, "", test)
	writeKeys(&b, "LIVE_", production)
	return path, os.WriteFile(path, []byte(b.String()), 0o600)
}

// moveDemo has the demo's file say where this server listens.
func moveDemo(path, url string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	lines := strings.SplitAfter(string(b), "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, urlName+"=") {
			lines[i] = urlName + "=" + url + "\n"
		}
	}
	return os.WriteFile(path, []byte(strings.Join(lines, "")), 0o600) //nolint:gosec // DATA_DIR is the operator's to choose
}

func writeKeys(b *strings.Builder, prefix string, e app.Created) {
	for _, k := range [][2]string{{"API_KEY", e.Environment.APIKey}, {"API_SECRET", e.APISecret}, {"SECRET_KEY", e.SecretKey}, {"SIGNING_SECRET", e.SigningSecret}} {
		fmt.Fprintf(b, "CARILLON_%s%s=%s\n", prefix, k[0], k[1])
	}
}

// baseURL is where this machine reaches a listen address.
func baseURL(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || host == "" || net.ParseIP(host).IsUnspecified() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port)
}

// firstSend is what a newcomer can copy.
const firstSend = `
Carillon listens on %[1]s. Try a first send, in another shell:

  . %[2]s
  curl -s $CARILLON_URL/graphql -H "Authorization: Bearer $CARILLON_SECRET_KEY" -H 'Content-Type: application/json' \
    -d '{"query":"mutation { identifyUser(input: {identifier: \"ada\", firstName: \"Ada\"}) { user { identifier } created } }"}'
  curl -s $CARILLON_URL/graphql -H "Authorization: Bearer $CARILLON_SECRET_KEY" -H 'Content-Type: application/json' \
    -d '{"query":"mutation { sendNotification(input: {to: {users: [\"ada\"]}, title: \"Hello, Ada\"}) { send { id status } } }"}'

and watch Ada's inbox live:

  curl -sN $CARILLON_URL/graphql -H "X-Carillon-Key: $CARILLON_API_KEY" -H 'X-Carillon-User: ada' \
    -H 'Content-Type: application/json' -H 'Accept: text/event-stream' \
    -d '{"query":"subscription { inbox { position counters { unread } added { title } } }"}'

`
