package engagespot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"carillon/auth"
	"carillon/model"
	"carillon/rest"
)

// Engagespot keeps push tokens in the profile, as fcm.tokens, to which fcm.token
// adds one. Here a token is a device: this file takes the ones out of profiles
// on their way in, and shows the others in their place. A token that a client
// gives is one more, never one instead: each of a user's phones sends only its
// own.

// tokenKeyPrefix begins the key of a device that is known by its token alone.
const tokenKeyPrefix = "fcm-"

// takeTokens takes the push tokens out of a profile, written fcm: {tokens, token}
// or "fcm.tokens" and "fcm.token".
// What is wrong with them goes to check.
func takeTokens(profile json.RawMessage, check *model.Check) (attributes json.RawMessage, tokens []string, err error) {
	if profile == nil {
		return nil, nil, nil
	}
	in := rest.Object(profile, check)
	kept := map[string]json.RawMessage{}
	if err := json.Unmarshal(profile, &kept); err != nil {
		return nil, nil, fmt.Errorf("decoding profile: %w", err)
	}
	tokens = append(in.Texts("fcm.tokens"), optional(in.Text("fcm.token"))...)
	delete(kept, "fcm.tokens")
	delete(kept, "fcm.token")
	if fcm := in.ObjectText("fcm"); fcm != nil {
		inner := in.Object("fcm")
		tokens = slices.Concat(tokens, inner.Texts("tokens"), optional(inner.Text("token")))
		others := map[string]json.RawMessage{}
		for _, name := range inner.Names() {
			if name != "tokens" && name != "token" {
				others[name] = inner.Raw(name)
			}
		}
		delete(kept, "fcm")
		if len(others) > 0 {
			if kept["fcm"], err = model.EncodeJSON(others); err != nil {
				return nil, nil, err
			}
		}
	}
	checkTokens(tokens, check)
	if err := check.Err(); err != nil {
		return nil, nil, err
	}
	attributes, err = model.EncodeJSON(kept)
	return attributes, tokens, err
}

func optional(token string) []string {
	if token == "" {
		return nil
	}
	return []string{token}
}

// checkTokens holds tokens to what a device takes, before anything is written.
func checkTokens(tokens []string, check *model.Check) {
	const maxToken = 4096
	check.That(len(tokens) <= model.MaxDevices, fmt.Sprintf("must hold at most %d tokens, holds %d", model.MaxDevices, len(tokens)), "fcm", "tokens")
	for i, t := range tokens {
		ok := t != "" && len(t) <= maxToken && !strings.ContainsFunc(t, func(r rune) bool { return r <= ' ' || r > '~' })
		check.That(ok, "must be a push token: 1 to 4096 printable ASCII characters without blanks", "fcm", "tokens", strconv.Itoa(i))
	}
}

// tokenPatch is what a JSON Patch says of push tokens.
type tokenPatch struct {
	add    []string
	remove []string
}

// takeTokenOperations takes the operations that add or remove push tokens out
// of a JSON Patch of a profile that shows the tokens now. What is left is nil
// when nothing is.
func takeTokenOperations(patch json.RawMessage, now []string) (left json.RawMessage, tokens tokenPatch, err error) {
	var operations []json.RawMessage
	if err := json.Unmarshal(patch, &operations); err != nil {
		return nil, tokens, model.Errorf(model.KindInvalid, "the body must be a list of JSON Patch operations")
	}
	var check model.Check
	kept := []json.RawMessage{}
	now = slices.Clone(now)
	for i, raw := range operations {
		var op tokenOperation
		if json.Unmarshal(raw, &op) != nil || !op.isOne() {
			kept = append(kept, raw)
			continue
		}
		now = tokens.apply(op, now, check.At("operation", strconv.Itoa(i)))
	}
	checkTokens(tokens.add, &check)
	if err := check.Err(); err != nil {
		return nil, tokens, err
	}
	if len(kept) == 0 && len(operations) > 0 {
		return nil, tokens, nil
	}
	left, err = model.EncodeJSON(kept)
	return left, tokens, err
}

// tokenOperation is an operation of a JSON Patch.
type tokenOperation struct {
	Op, Path string
	Value    json.RawMessage
}

// isOne reports whether an operation adds or removes push tokens.
func (op tokenOperation) isOne() bool {
	place := op.Path == "/fcm/token" || op.Path == "/fcm/tokens" || strings.HasPrefix(op.Path, "/fcm/tokens/")
	return place && (op.Op == "add" || op.Op == "replace" || op.Op == "remove") || op.Op == "remove" && op.Path == "/fcm"
}

// apply notes what an operation does to the tokens that there are by now, and
// returns those that there are after it.
func (p *tokenPatch) apply(op tokenOperation, now []string, check *model.Check) []string {
	var one string
	var many []string
	switch {
	case op.Op == "remove":
		gone := now
		if text, single := strings.CutPrefix(op.Path, "/fcm/tokens/"); single {
			i, err := strconv.Atoi(text)
			if err != nil || i < 0 || i >= len(now) {
				check.Add(model.ProblemInvalid, fmt.Sprintf("must remove one of the %d push tokens, by its place", len(now)))
				return now
			}
			gone = now[i : i+1]
		}
		p.remove = append(p.remove, gone...)
		return slices.DeleteFunc(slices.Clone(now), func(t string) bool { return slices.Contains(gone, t) })
	case op.Path == "/fcm/tokens" && json.Unmarshal(op.Value, &many) == nil:
	case op.Path != "/fcm/tokens" && json.Unmarshal(op.Value, &one) == nil:
		many = []string{one}
	default:
		check.Add(model.ProblemInvalid, "must have a push token for value, or for /fcm/tokens a list of them")
	}
	p.add = append(p.add, many...)
	return append(now, many...)
}

// tokenDevices are the devices that tokens stand for.
func tokenDevices(tokens []string) []model.DeviceInput {
	out := make([]model.DeviceInput, len(tokens))
	for i, t := range tokens {
		sum := sha256.Sum256([]byte(t))
		out[i] = model.DeviceInput{Key: tokenKeyPrefix + hex.EncodeToString(sum[:16]), Platform: model.PlatformOther, Token: t, Provider: "fcm"}
	}
	return out
}

// changeTokens forgets the devices of tokens that a patch removed, and makes
// each that it added a device of the user.
func (a *API) changeTokens(ctx context.Context, env model.EnvID, user model.UserID, devices []model.Device, tokens tokenPatch) error {
	for _, d := range devices {
		if !slices.Contains(tokens.remove, d.Token) || slices.Contains(tokens.add, d.Token) {
			continue
		}
		_, err := a.Users.RemoveDevice(ctx, env, model.Once{}, user, d.Key)
		if err != nil && model.KindOf(err) != model.KindNotFound { // removed at this moment
			return err
		}
	}
	for _, d := range tokenDevices(tokens.add) {
		if _, err := a.Users.RegisterDevice(ctx, env, model.Once{}, user, d); err != nil {
			return err
		}
	}
	return nil
}

// tokensOf are the push tokens of devices, as profiles show them.
func tokensOf(devices []model.Device) []string {
	var tokens []string
	for _, d := range devices {
		if d.Token != "" {
			tokens = append(tokens, d.Token)
		}
	}
	slices.Sort(tokens)
	return tokens
}

// profileOf is a user's profile as Engagespot shows it: flat, with the tokens
// of their devices.
func (a *API) profileOf(r *http.Request, c auth.Caller, u model.User) (json.RawMessage, error) {
	devices, err := a.Users.Devices(r.Context(), c.Env.ID, u.ID)
	if err != nil {
		return nil, err
	}
	tokens := tokensOf(devices)
	if len(tokens) == 0 {
		return u.Profile.Attributes, nil
	}
	members := map[string]json.RawMessage{}
	fcm := map[string]any{}
	if err := json.Unmarshal(u.Profile.Attributes, &members); err != nil {
		return nil, fmt.Errorf("decoding profile: %w", err)
	}
	if raw, ok := members["fcm"]; ok {
		_ = json.Unmarshal(raw, &fcm) // the customer's own, if it is no object
	}
	fcm["tokens"] = tokens
	if members["fcm"], err = model.EncodeJSON(fcm); err != nil {
		return nil, err
	}
	return model.EncodeJSON(members)
}
