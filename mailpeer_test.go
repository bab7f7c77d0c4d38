package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/mail"
	"net/url"
	"strings"
	"sync"
	"testing"

	"carillon/delivery/deliverytest"
)

// mailServer is the peer of SMTP.
func mailServer(t *testing.T, f deliverytest.Fault, elsewhere string) *carrier {
	t.Helper()
	l := deliverytest.Listen(t)
	m := &mailPeer{done: make(chan struct{})}
	t.Cleanup(func() { close(m.done) })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go m.serve(conn)
		}
	}()
	at, _ := url.Parse(place(f, elsewhere, "https://"+l.Addr().String()))
	security := "NONE"
	if f == faultStranger {
		security = "TLS"
	}
	return &carrier{
		kind: "smtp", channel: "EMAIL", address: "ada@example.com", set: m.set, received: m.all,
		config: map[string]any{"host": at.Hostname(), "port": json.Number(at.Port()), "security": security, "from": "news@example.com"},
	}
}

type mailPeer struct {
	done chan struct{}

	mu    sync.Mutex
	fault deliverytest.Fault
	got   []deliverytest.Received
}

func (m *mailPeer) set(f deliverytest.Fault) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fault = f
}

func (m *mailPeer) all() []deliverytest.Received {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.got[:len(m.got):len(m.got)]
}

// serve holds one dialogue.
func (m *mailPeer) serve(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewScanner(conn)
	say := func(line string) { _, _ = io.WriteString(conn, line+"\r\n") }
	say("220 mail.test")
	for in.Scan() {
		verb, _, _ := strings.Cut(strings.ToUpper(in.Text()), " ")
		m.mu.Lock()
		fault := m.fault
		m.mu.Unlock()
		switch {
		case verb == "QUIT":
			say("221 bye")
			return
		case (verb == "EHLO" || verb == "HELO") && fault == deliverytest.FaultUnauthorized:
			say("535 5.7.8 not you")
		case verb == "EHLO":
			say("250-mail.test\r\n250 ENHANCEDSTATUSCODES")
		case verb == "RCPT" && fault == deliverytest.FaultGone:
			say("550 5.1.1 no such mailbox")
		case verb == "DATA":
			say("354 go on")
			var text strings.Builder
			for in.Scan() && in.Text() != "." {
				text.WriteString(in.Text() + "\r\n")
			}
			if !m.take(conn, fault, text.String()) {
				return
			}
		default:
			say("250 ok")
		}
	}
}

// take takes a mail, or misbehaves; it reports whether the dialogue goes on.
func (m *mailPeer) take(conn net.Conn, fault deliverytest.Fault, raw string) bool {
	say := func(line string) { _, _ = io.WriteString(conn, line) }
	switch fault {
	case deliverytest.FaultError:
		say("451 4.3.0 try later\r\n")
	case deliverytest.FaultRateLimited:
		say("450 4.7.1 too many\r\n")
	case deliverytest.FaultRefused:
		say("554 5.7.1 looks like spam\r\n")
	case deliverytest.FaultHang:
		<-m.done
		return false
	case deliverytest.FaultReset:
		_ = conn.(*net.TCPConn).SetLinger(0)
		return false
	case deliverytest.FaultCut:
		say("25")
		return false
	case deliverytest.FaultMalformed:
		say("HTTP/1.1 200 OK\r\n")
		return false
	case deliverytest.FaultHuge:
		for {
			if _, err := io.WriteString(conn, strings.Repeat("250-and more\r\n", 1000)); err != nil {
				return false
			}
		}
	default:
		parsed, err := mail.ReadMessage(strings.NewReader(raw))
		if err != nil {
			say("554 5.6.0 no mail\r\n")
			return true
		}
		body, _ := io.ReadAll(parsed.Body)
		m.mu.Lock()
		m.got = append(m.got, deliverytest.Received{ID: parsed.Header.Get("Message-Id"), Text: parsed.Header.Get("Subject") + "\n" + string(body)})
		m.mu.Unlock()
		say("250 taken\r\n")
	}
	return true
}
