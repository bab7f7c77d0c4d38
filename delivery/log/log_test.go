package log_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	"carillon/delivery"
	"carillon/delivery/deliverytest"
	"carillon/delivery/log"
	"carillon/model"
)

func TestLog(t *testing.T) {
	t.Parallel()
	delivery.NewKinds(log.Kind)
	var b bytes.Buffer
	s, err := log.Kind.New(delivery.Account{}, delivery.Outside{Log: slog.New(slog.NewTextHandler(&b, nil))})
	if err != nil {
		t.Fatal(err)
	}
	m := deliverytest.Message(model.ChannelEmail, delivery.Target{Address: "ada@example.org"})
	if _, err := s.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if line := b.String(); !strings.Contains(line, string(m.ID)) || !strings.Contains(line, "First line.") || strings.Contains(line, "ada@example.org") {
		t.Errorf("the line is %q, want the message without the address", line)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Send(ctx, m); err == nil {
		t.Error("it logs though its context is done")
	}
}
