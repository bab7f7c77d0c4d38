package delivery_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"carillon/delivery"
	"carillon/internal/signature"
	"carillon/model"
)

// reporting makes a provider of e-mail whose receipts are signed with the secret
// that it returns.
func (f *fixture) reporting(t *testing.T) (model.ProviderRef, string) {
	t.Helper()
	secret := signature.NewSecret()
	p := f.provider(t, model.ChannelEmail, func(in *model.ProviderInput) {
		in.Secrets = json.RawMessage(`{"token":"t","receiptsSecret":"` + secret + `"}`)
	})
	return model.ProviderRef{Env: p.EnvID, ID: p.ID}, secret
}

// signed is a call with a body, signed now.
func signed(t *testing.T, secret, body string) delivery.Call {
	t.Helper()
	s, err := signature.ParseSecret(secret)
	if err != nil {
		t.Fatal(err)
	}
	h := http.Header{}
	signature.Sign(h, "id", time.Now(), []byte(body), s)
	return delivery.Call{Header: h, Body: []byte(body)}
}

func (f *fixture) receive(t *testing.T, ref model.ProviderRef, secret, body string) string {
	t.Helper()
	done, err := f.Receive(t.Context(), ref, signed(t, secret, body))
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return fmt.Sprintf("%d applied, %d stale, %d unknown", done.Applied, done.Stale, done.Unknown)
}

const (
	applied = "1 applied, 0 stale, 0 unknown"
	stale   = "0 applied, 1 stale, 0 unknown"
	unknown = "0 applied, 0 stale, 1 unknown"
)

func (f *fixture) reasons(t *testing.T) (out []string) {
	t.Helper()
	page, err := f.Suppressions(t.Context(), f.env.ID, model.SuppressionFilter{}, model.PageRequest{Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range page.Items {
		out = append(out, fmt.Sprint(m.Channel, " ", m.Address, " ", m.Reason))
	}
	return out
}

func TestReceiptsMoveDeliveriesForward(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ref, secret := f.reporting(t)
		f.ada(t)
		f.run(t)
		f.send(t, f.env, nil, "ada")
		f.settled(t)
		d := f.rows(t, f.env.ID)[0]
		byID := func(kind, more string) string {
			return fmt.Sprintf(`{"type":"delivery.%s","timestamp":"2026-01-02T03:04:05Z","data":{"deliveryId":"%s"%s}}`, kind, d.ID, more)
		}
		state := func(what, want string) {
			t.Helper()
			equal(t, what, f.deliveries(t), "["+want+" ENV_DEFAULT ada@example.com]")
		}
		equal(t, "sent again", f.receive(t, ref, secret, byID("sent", "")), stale)
		equal(t, "delivered, by the provider's id", f.receive(t, ref, secret, `[{"type":"delivery.delivered","data":{"messageId":"rec-`+string(d.ID)+`"}}]`), applied)
		state("after it", "EMAIL DELIVERED")
		equal(t, "delivered again", f.receive(t, ref, secret, byID("delivered", "")), stale)
		equal(t, "a late soft bounce", f.receive(t, ref, secret, byID("bounced", "")), stale)
		state("after it", "EMAIL DELIVERED")
		equal(t, "suppressed so far", f.reasons(t), "[]")
		equal(t, "a hard bounce", f.receive(t, ref, secret, byID("bounced", `,"permanent":true,"detail":"no such\nmailbox"`)), applied)
		state("after it", "EMAIL BOUNCED")
		equal(t, "its words", f.rows(t, f.env.ID)[0].Detail, "no such mailbox")
		equal(t, "suppressed", f.reasons(t), "[EMAIL ada@example.com BOUNCE]")
		equal(t, "the bounce again", f.receive(t, ref, secret, byID("bounced", `,"permanent":true`)), stale)
		equal(t, "a complaint", f.receive(t, ref, secret, byID("complained", "")), applied)
		equal(t, "suppressed", f.reasons(t), "[EMAIL ada@example.com COMPLAINT]")
		state("after it", "EMAIL COMPLAINED")
		equal(t, "delivered, long after", f.receive(t, ref, secret, byID("delivered", "")), stale)
		equal(t, "of nobody's", f.receive(t, ref, secret, `{"type":"delivery.delivered","data":{"messageId":"other"}}`), unknown)
		equal(t, "counted", f.Receipts(), "map[APPLIED:3 STALE:5 UNKNOWN:1 UNVERIFIED:0]")
	})
}

func TestReceiptsUnsubscribe(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ref, secret := f.reporting(t)
		f.ada(t)
		f.run(t)
		f.send(t, f.env, nil, "ada")
		f.settled(t)
		body := fmt.Sprintf(`{"type":"delivery.unsubscribed","data":{"deliveryId":%q}}`, f.rows(t, f.env.ID)[0].ID)
		equal(t, "unsubscribed", f.receive(t, ref, secret, body), applied)
		equal(t, "once more", f.receive(t, ref, secret, body), stale)
		equal(t, "suppressed", f.reasons(t), "[EMAIL ada@example.com UNSUBSCRIBED]")
		equal(t, "the delivery", f.rows(t, f.env.ID)[0].State, model.DeliverySent)
	})
}

// One provider's word counts for nothing about what another carried, nor for
// another environment.
func TestReceiptsAreOfOneProvider(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ref, secret := f.reporting(t)
		f.ada(t)
		f.run(t)
		f.send(t, f.env, nil, "ada")
		f.settled(t)
		d := f.rows(t, f.env.ID)[0]
		second, secondSecret := f.reporting(t)
		shop := f.env
		f.env = f.environment(t, "other")
		theirs, theirSecret := f.reporting(t)
		f.env = shop
		both := fmt.Sprintf(`[{"type":"delivery.bounced","data":{"deliveryId":%q,"permanent":true}},{"type":"delivery.bounced","data":{"messageId":"rec-%s","permanent":true}}]`, d.ID, d.ID)
		const none = "0 applied, 0 stale, 2 unknown"
		equal(t, "another provider", f.receive(t, second, secondSecret, both), none)
		equal(t, "another environment", f.receive(t, theirs, theirSecret, both), none)
		for name, to := range map[string]model.ProviderRef{"mixed": {Env: theirs.Env, ID: ref.ID}, "none": {Env: 0, ID: ""}, "their secret": theirs} {
			if _, err := f.Receive(t.Context(), to, signed(t, secret, both)); model.KindOf(err) != model.KindUnauthenticated {
				t.Errorf("%s: %v, want it refused", name, err)
			}
		}
		equal(t, "the delivery", f.rows(t, shop.ID)[0].State, model.DeliverySent)
		equal(t, "suppressed", f.reasons(t), "[]")
	})
}

func TestReceiptsThatCannotBeRead(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ref, secret := f.reporting(t)
		for body, want := range map[string]string{
			``:           "the body",
			`null`:       "type must be one of",
			`[null,1]`:   "the body must be an object",
			`{"a":1}`:    "type must be one of",
			`{"type":1}`: "the body must be an object",
			`[{"type":"delivery.sent","timestamp":"now","data":{"messageId":"x"}}]`: "0.timestamp must be a time",
			`{"type":"delivery.sent"}`: "data.deliveryId is required",
			`{"type":"delivery.sent","data":{"messageId":"` + strings.Repeat("x", 256) + `"}}`: "data.messageId must have at most",
			`[` + strings.Repeat(`{},`, 500) + `{}]`:                                           "at most 500 reports",
		} {
			_, err := f.Receive(t.Context(), ref, signed(t, secret, body))
			if model.KindOf(err) != model.KindInvalid || !strings.Contains(err.Error(), want) {
				t.Errorf("%.60s: %v, want %q", body, err, want)
			}
		}
	})
}

func TestUnsubscribing(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.PublicURL = "https://notify.example.com"
		f.provider(t, model.ChannelEmail)
		f.ada(t)
		f.run(t)
		f.send(t, f.env, nil, "ada")
		f.settled(t)
		token, ok := strings.CutPrefix(f.recorder.Taken()[0].Message.Unsubscribe, "https://notify.example.com/unsubscribe/")
		if !ok || f.CheckUnsubscribe(token) != nil {
			t.Fatalf("the mail has the link %q", f.recorder.Taken()[0].Message.Unsubscribe)
		}
		for _, bad := range []string{"", "x", token[1:], token + "AAAA", "%00"} {
			if err := f.Unsubscribe(t.Context(), bad); model.KindOf(err) != model.KindNotFound {
				t.Errorf("%q: %v, want no such link", bad, err)
			}
		}
		for range 2 {
			if err := f.Unsubscribe(t.Context(), token); err != nil {
				t.Fatal(err)
			}
		}
		f.send(t, f.env, nil, "ada")
		f.settled(t)
		equal(t, "sent", len(f.recorder.Taken()), 1)
		gone := f.UnsubscribeURL(delivery.Unsubscription{Env: f.env.ID, User: 1 << 40, Category: 7, Channel: model.ChannelEmail})
		if err := f.Unsubscribe(t.Context(), strings.TrimPrefix(gone, f.PublicURL+"/unsubscribe/")); err != nil {
			t.Errorf("a user who is gone: %v", err)
		}
	})
}

// FuzzSignedReceipts holds the decoder to never panicking, and to bounds.
func FuzzSignedReceipts(f *testing.F) {
	for _, seed := range []string{`{"type":"delivery.bounced","timestamp":"2026-01-02T03:04:05Z","data":{"deliveryId":"a","permanent":true,"detail":"x"}}`, `[{}]`, `null`, `[`, "\xff"} {
		f.Add([]byte(seed))
	}
	text := signature.NewSecret()
	secret, err := signature.ParseSecret(text)
	if err != nil {
		f.Fatal(err)
	}
	var c model.Check
	r := delivery.NewSignedReceipts(&c, delivery.Account{Secrets: json.RawMessage(`{"receiptsSecret":"` + text + `"}`)}, delivery.Outside{Now: time.Now})
	f.Fuzz(func(t *testing.T, body []byte) {
		h := http.Header{}
		signature.Sign(h, "id", time.Now(), body, secret)
		reports, err := r.Receive(t.Context(), "", h, body)
		if err != nil && model.KindOf(err) != model.KindInvalid {
			t.Errorf("%v", err)
		}
		for _, p := range reports {
			if err == nil && (p.Delivery == "" && p.MessageID == "" || len(p.Detail) > 500) {
				t.Errorf("took %+v", p)
			}
		}
	})
}
