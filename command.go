package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"text/tabwriter"
	"time"

	"carillon/app"
	"carillon/auth"
	"carillon/model"
)

// withParts runs a command on the database that the settings name.
func (p *program) withParts(ctx context.Context, do func(*parts) error) error {
	cfg, log, err := p.settings()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return fmt.Errorf("DATA_DIR: %w", err)
	}
	parts, err := openParts(ctx, cfg, log)
	if err != nil {
		return err
	}
	return errors.Join(do(parts), parts.close())
}

func (p *program) printJSON(v any) error {
	enc := json.NewEncoder(p.stdout)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

func (p *program) version(_ context.Context, args []string) error {
	if err := p.parse(p.flags("version"), args); err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, "carillon %s %s %s/%s\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return nil
}

func (p *program) migrate(ctx context.Context, args []string) error {
	if err := p.parse(p.flags("migrate"), args); err != nil {
		return err
	}
	return p.withParts(ctx, func(parts *parts) error {
		fmt.Fprintf(p.stdout, "the %s database is up to date\n", parts.store.Database())
		return nil
	})
}

// environmentJSON is what `app create` and `app list` print. Secrets are there
// only when they were just made.
type environmentJSON struct {
	ID            model.EnvID    `json:"id"`
	App           string         `json:"app"`
	Environment   model.EnvKind  `json:"environment"`
	UserAuth      model.UserAuth `json:"userAuth"`
	APIKey        string         `json:"apiKey"`
	APISecret     string         `json:"apiSecret,omitempty"`
	SecretKey     string         `json:"secretKey,omitempty"`
	SigningSecret string         `json:"signingSecret,omitempty"`
}

func environmentOf(e model.Environment) environmentJSON {
	return environmentJSON{ID: e.ID, App: e.AppName, Environment: e.Kind, UserAuth: e.UserAuth, APIKey: e.APIKey}
}

func (p *program) appCreate(ctx context.Context, args []string) error {
	fs := p.flags("app create")
	name := fs.String("name", "", "the app's `name`; an existing one gets its other environment")
	kind := fs.String("environment", "", "`test or live`")
	userAuth := fs.String("user-auth", "", "what front ends present to act as a user: `open, hmac or token` (test: open, live: token)")
	apiKey := fs.String("api-key", "", "the public `key`; left out: a new one")
	apiSecret := fs.String("api-secret", "", "the API `secret`, at least 32 characters; left out: a new one")
	tokenKey := fs.String("token-key", "", "`file` with a PEM public key that verifies user tokens")
	legacyTokens := fs.Bool("legacy-tokens", false, "take user tokens without exp whose sub is user:<identifier> and apiKey the public key, as Engagespot's libraries make them")
	asJSON := fs.Bool("json", false, "print one JSON object")
	if err := p.parse(fs, args, "name", "environment"); err != nil {
		return err
	}
	in := app.NewEnvironment{App: *name, Kind: model.EnvKind(*kind), UserAuth: model.UserAuth(*userAuth), APIKey: *apiKey, APISecret: *apiSecret}
	in.Settings.LegacyTokens = *legacyTokens
	if in.UserAuth == "" {
		in.UserAuth = map[model.EnvKind]model.UserAuth{model.EnvTest: model.AuthOpen, model.EnvLive: model.AuthToken}[in.Kind]
	}
	if *tokenKey != "" {
		b, err := os.ReadFile(*tokenKey)
		if err != nil {
			return fmt.Errorf("--token-key: %w", err)
		}
		in.TokenKey = string(b)
	}
	return p.withParts(ctx, func(parts *parts) error {
		made, err := parts.apps.CreateEnvironment(ctx, in)
		if err != nil {
			return err
		}
		out := environmentOf(made.Environment)
		out.APISecret, out.SecretKey, out.SigningSecret = made.APISecret, made.SecretKey, made.SigningSecret
		if *asJSON {
			return p.printJSON(out)
		}
		fmt.Fprintf(p.stdout, "made the %s environment of %s; the secrets are shown this once\n\n", out.Environment, out.App)
		w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintf(w, "public key\t%s\nAPI secret\t%s\nsecret key\t%s\nsigning secret\t%s\n", out.APIKey, out.APISecret, out.SecretKey, out.SigningSecret)
		return w.Flush()
	})
}

func (p *program) appList(ctx context.Context, args []string) error {
	fs := p.flags("app list")
	asJSON := fs.Bool("json", false, "print a JSON list")
	if err := p.parse(fs, args); err != nil {
		return err
	}
	return p.withParts(ctx, func(parts *parts) error {
		envs, err := parts.apps.Environments(ctx)
		if err != nil {
			return err
		}
		list := make([]environmentJSON, len(envs))
		for i, e := range envs {
			list[i] = environmentOf(e)
		}
		if *asJSON {
			return p.printJSON(list)
		}
		w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "app\tenvironment\tuser auth\tpublic key")
		for _, e := range list {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", e.App, e.Environment, e.UserAuth, e.APIKey)
		}
		return w.Flush()
	})
}

func (p *program) token(ctx context.Context, args []string) error {
	fs := p.flags("token")
	name := fs.String("app", "", "the app's `name`")
	kind := fs.String("environment", "test", "`test or live`")
	user := fs.String("user", "", "the user's `identifier`")
	ttl := fs.Duration("ttl", 12*time.Hour, "how long the token counts, 1s to 24h")
	if err := p.parse(fs, args, "app", "user"); err != nil {
		return err
	}
	if *ttl < time.Second || *ttl > auth.MaxTokenAge {
		return usageError{fmt.Errorf("--ttl must be 1s to %s: the server takes no token that counts for longer", auth.MaxTokenAge)}
	}
	return p.withParts(ctx, func(parts *parts) error {
		env, err := parts.apps.FindByName(ctx, *name, model.EnvKind(*kind))
		if model.KindOf(err) == model.KindNotFound {
			return fmt.Errorf("no app %q has a %q environment: `carillon app list` lists what there is", *name, *kind)
		}
		if err != nil {
			return err
		}
		token, err := parts.apps.MintToken(ctx, env.ID, *user, *ttl)
		if err != nil {
			return err
		}
		fmt.Fprintln(p.stdout, token)
		return nil
	})
}

// listedDrifts is how many inboxes verify-counters lists at most.
const listedDrifts = 100

func (p *program) verifyCounters(ctx context.Context, args []string) error {
	if err := p.parse(p.flags("verify-counters"), args); err != nil {
		return err
	}
	return p.withParts(ctx, func(parts *parts) error {
		report, err := parts.store.VerifyCounters(ctx, listedDrifts)
		if err != nil {
			return err
		}
		for _, d := range report.Drifts {
			fmt.Fprintf(p.stdout, "environment %d, user %d: has %+v, should have %+v\n", d.Env, d.User, d.Have, d.Want)
		}
		fmt.Fprintf(p.stdout, "%d inboxes counted, %d drifted\n", report.Inboxes, report.Drifted)
		if report.Drifted > 0 {
			return errors.New("counters have drifted: that is a bug; please report it with the lines above")
		}
		return nil
	})
}
