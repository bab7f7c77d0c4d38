package delivery

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"carillon/internal/signature"
	"carillon/model"
)

// MaxReceipt bounds the body of a call with receipts, in bytes.
const MaxReceipt = 256 << 10

// CallbackURL is where a provider reports what became of messages; "": this
// server does not know its public address.
func (s *Service) CallbackURL(ref model.ProviderRef) string {
	if s.PublicURL == "" {
		return ""
	}
	return fmt.Sprintf("%s/receipts/%d/%s", s.PublicURL, ref.Env, ref.ID)
}

// ReceiptsURL is where a provider can report to; "": its kind does not report, or
// this server does not know its public address.
func (s *Service) ReceiptsURL(p model.Provider) string {
	if k := s.Kinds.Find(p.Kind); k == nil || !k.Reports {
		return ""
	}
	return s.CallbackURL(model.ProviderRef{Env: p.EnvID, ID: p.ID})
}

// Call is a call that came in for a provider.
type Call struct {
	Query  string // as it was sent, without the question mark
	Header http.Header
	Body   []byte
}

// Receive takes what a provider reports of messages. A call that cannot be
// verified is a KindUnauthenticated error, whichever part of it is wrong; a
// verified one that cannot be read is KindInvalid. What names no message of the
// provider's, or tells nothing new, is no error: the provider would say it again
// and again.
func (s *Service) Receive(ctx context.Context, ref model.ProviderRef, call Call) (model.Reported, error) {
	reports, err := s.reports(ctx, ref, call)
	if err != nil {
		if errors.Is(err, ErrUnverified) {
			s.stats.receipts.unverified.Add(1)
			err = model.Errorf(model.KindUnauthenticated, "the call cannot be verified: there is no such provider, or the signature is not its")
		}
		return model.Reported{}, err
	}
	plain := slices.DeleteFunc(slices.Clone(reports), func(r model.Report) bool {
		return model.CheckText(string(r.Delivery), maxReference) != "" || model.CheckText(r.MessageID, maxReference) != ""
	})
	done, err := s.apply(ctx, ref, plain)
	done.Unknown += len(reports) - len(plain)
	s.stats.receipts.applied.Add(int64(done.Applied))
	s.stats.receipts.stale.Add(int64(done.Stale))
	s.stats.receipts.unknown.Add(int64(done.Unknown))
	return done, err
}

// reports verifies and reads a call.
func (s *Service) reports(ctx context.Context, ref model.ProviderRef, call Call) ([]model.Report, error) {
	p, err := s.Store.Provider(ctx, ref.Env, ref.ID)
	if model.KindOf(err) == model.KindNotFound {
		return nil, ErrUnverified
	} else if err != nil {
		return nil, err
	}
	sender := s.madeSender(p)
	receiver, ok := sender.Sender.(Receiver)
	if sender.err != nil || !ok {
		return nil, ErrUnverified
	}
	at := s.CallbackURL(ref)
	if at != "" && call.Query != "" {
		at += "?" + call.Query
	}
	return receiver.Receive(ctx, at, call.Header, call.Body)
}

const (
	// earlyTries is how often a report is looked at that came before the attempt
	// was recorded that it is about, and earlyPause how long to wait between.
	earlyTries = 4
	earlyPause = 250 * time.Millisecond
)

// apply records reports. Those that came too early are given a moment.
func (s *Service) apply(ctx context.Context, ref model.ProviderRef, reports []model.Report) (total model.Reported, err error) {
	for try := 1; len(reports) > 0; try++ {
		since := s.now()
		done, err := s.Store.ApplyReports(ctx, ref, reports)
		if err != nil {
			return total, err
		}
		if done.Applied > 0 {
			s.announce(ctx, since, ref.Env)
		}
		total.Applied, total.Stale, total.Unknown = total.Applied+done.Applied, total.Stale+done.Stale, total.Unknown+done.Unknown
		if reports = done.Early; len(reports) == 0 || try == earlyTries {
			break
		}
		timer := time.NewTimer(earlyPause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return total, fmt.Errorf("waiting for an attempt to be recorded: %w", ctx.Err())
		}
	}
	total.Unknown += len(reports)
	return total, nil
}

// receiptStats are numbers of this process.
type receiptStats struct{ applied, stale, unknown, unverified atomic.Int64 }

// Receipts are how many reports of providers came to what, and how many calls
// could not be verified.
func (s *Service) Receipts() map[string]int64 {
	r := &s.stats.receipts
	return map[string]int64{"APPLIED": r.applied.Load(), "STALE": r.stale.Load(), "UNKNOWN": r.unknown.Load(), "UNVERIFIED": r.unverified.Load()}
}

// ReceiptsSecret is the setting of accounts whose receipts come in this server's
// own form, which [SignedReceipts] reads.
func ReceiptsSecret() Field {
	return Field{
		Name: receiptsSecret, Help: "whsec_ and 24 to 64 bytes as base64, which calls that report bounces are signed with; left out: none are taken",
		Type: FieldText, Secret: true,
	}
}

const receiptsSecret = "receiptsSecret"

// SignedReceipts implements [Receiver] for providers that do not report by
// themselves, or in forms that somebody translates: calls signed as Standard
// Webhooks says. A sender embeds it. The zero value takes none.
type SignedReceipts struct {
	secret signature.Secret
	now    func() time.Time
}

// NewSignedReceipts reads the setting of an account, and adds to c what is wrong
// with it.
func NewSignedReceipts(c *model.Check, a Account, out Outside) SignedReceipts {
	var given struct {
		Secret string `json:"receiptsSecret"`
	}
	if a.Into(nil, &given) != nil || given.Secret == "" {
		return SignedReceipts{}
	}
	secret, err := signature.ParseSecret(given.Secret)
	if err != nil {
		c.Add(model.ProblemInvalid, err.Error(), "secrets", receiptsSecret)
	}
	return SignedReceipts{secret, out.Now}
}

// Receive implements [Receiver].
func (r SignedReceipts) Receive(_ context.Context, _ string, header http.Header, body []byte) ([]model.Report, error) {
	if len(r.secret) == 0 || signature.Verify(header, body, r.now(), r.secret) != nil {
		return nil, ErrUnverified
	}
	return decodeReports(body)
}

// report is a report in this server's own form.
type report struct {
	Type      string `json:"type"`
	Timestamp string `json:"timestamp"`
	Data      struct {
		Delivery  string `json:"deliveryId"`
		MessageID string `json:"messageId"`
		Permanent bool   `json:"permanent"`
		Detail    string `json:"detail"`
	} `json:"data"`
}

// reportTypes are what a report can say.
var reportTypes = map[string]model.Report{
	"delivery.sent":         {State: model.DeliverySent},
	"delivery.delivered":    {State: model.DeliveryDelivered},
	"delivery.bounced":      {State: model.DeliveryBounced},
	"delivery.complained":   {State: model.DeliveryComplained},
	"delivery.unsubscribed": {Unsubscribed: true},
}

// maxReference bounds an id in a report, in bytes.
const maxReference = 255

// decodeReports reads one report, or a list of them. What is wrong is a
// KindInvalid error that names every member.
func decodeReports(body []byte) ([]model.Report, error) {
	if m := model.CheckJSON(body, MaxReceipt, model.MaxDataDepth); m != "" {
		return nil, model.Errorf(model.KindInvalid, "the body %s", m)
	}
	many := bytes.HasPrefix(bytes.TrimSpace(body), []byte("["))
	if !many {
		body = append(append([]byte("["), body...), ']')
	}
	var list []report
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, model.Errorf(model.KindInvalid, "the body must be an object with type, timestamp and data, or a list of them")
	}
	if len(list) > model.MaxReports {
		return nil, model.Errorf(model.KindInvalid, "the body must have at most %d reports", model.MaxReports)
	}
	var c model.Check
	out := make([]model.Report, len(list))
	for i, r := range list {
		at := &c
		if many {
			at = c.At(strconv.Itoa(i))
		}
		out[i] = r.read(at)
	}
	return out, c.Err()
}

func (r report) read(c *model.Check) model.Report {
	out, known := reportTypes[r.Type]
	c.That(known, "must be one of delivery.sent, delivery.delivered, delivery.bounced, delivery.complained, delivery.unsubscribed", "type")
	if r.Timestamp != "" {
		var err error
		out.At, err = time.Parse(time.RFC3339, r.Timestamp)
		c.That(err == nil, "must be a time such as 2026-01-02T03:04:05Z", "timestamp")
	}
	for _, f := range []struct{ name, text string }{{"deliveryId", r.Data.Delivery}, {"messageId", r.Data.MessageID}} {
		if m := model.CheckText(f.text, maxReference); m != "" {
			c.Add(model.ProblemInvalid, m, "data", f.name)
		}
	}
	c.That(r.Data.Delivery != "" || r.Data.MessageID != "", "is required where there is no messageId", "data", "deliveryId")
	if m := model.CheckText(r.Data.Detail, maxAny); m != "" {
		c.Add(model.ProblemInvalid, m, "data", "detail")
	}
	out.Delivery, out.MessageID = model.DeliveryID(r.Data.Delivery), r.Data.MessageID
	out.Dead, out.Detail = r.Data.Permanent && out.State == model.DeliveryBounced, cutText(OneLine(r.Data.Detail), maxSuppression)
	return out
}

// maxAny bounds what is cut off anyway.
const maxAny = 64 << 10
