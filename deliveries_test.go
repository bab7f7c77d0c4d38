package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestChannelsSayWhatTheirContentSays has real providers deliver to a mail
// server and to Slack: what the template says for each, else for all, and what the
// send says otherwise.
func TestChannelsSayWhatTheirContentSays(t *testing.T) {
	t.Parallel()
	e := startEmbedded(t, "OUTGOING_ALLOW=127.0.0.0/8", "LOG_LEVEL=error", "PUBLIC_URL=https://bells.example")
	mails, port := mailSink(t)
	posts, slack := slackSink(t)
	key := e.demoKey(t)
	ask := func(query string) {
		t.Helper()
		if b, err := json.Marshal(e.query(t, key, query)); err != nil || !strings.Contains(string(b), `"userErrors":[]`) {
			t.Fatalf("%s: %s, %v", query, b, err)
		}
	}
	ask(`mutation { identifyUser(input: {identifier: "grace", profile: {firstName: "Grace", email: "grace@example.com"}}) { userErrors { path message } } }`)
	ask(fmt.Sprintf(`mutation { addAddress(input: {user: "grace", channel: SLACK, address: %q}) { userErrors { path message } } }`, slack))
	ask(fmt.Sprintf(`mutation { createProvider(input: {kind: "smtp", channel: EMAIL, name: "M", config: {host: "127.0.0.1", port: %d, security: "NONE", from: "news@example.com"}}) { userErrors { path message } } }`, port))
	ask(`mutation { createProvider(input: {kind: "slack", channel: SLACK, name: "S"}) { userErrors { path message } } }`)
	ask(`mutation { createTemplate(input: {identifier: "order", name: "Order", content: {title: "For all: {{data.what}}", body: "The body for all"}, channels: [
		{channel: EMAIL, content: {title: "Mail to {{recipient.firstName}}", html: "<p>{{data.what}} as HTML</p>"}}, {channel: SLACK, content: {title: "Slack to {{recipient.firstName}}"}}]}) { userErrors { path message } } }`)

	ask(`mutation { sendNotification(input: {to: {users: ["grace"]}, template: "order", data: {what: "a book"}}) { userErrors { path message } } }`)
	m, body := read(t, <-mails)
	if m.Header.Get("Subject") != "Mail to Grace" || !strings.Contains(body, "The body for all") || !strings.Contains(body, "<p>a book as HTML</p>") {
		t.Errorf("the mail is %v\n%s", m.Header, body)
	}
	if post := <-posts; !strings.Contains(post, "Slack to Grace") || !strings.Contains(post, "The body for all") || strings.Contains(post, "HTML") {
		t.Errorf("Slack got %s", post)
	}

	ask(`mutation { sendNotification(input: {to: {users: ["grace"]}, template: "order", data: {what: "a book"}, attachments: [{name: "order.txt", contentType: "text/plain", content: "T25lIGJvb2s="}], overrides: [
		{provider: "smtp", title: "Of the provider"}, {channel: EMAIL, title: "Of the channel", body: "Another text", headers: [{name: "x-order", value: "17"}]},
		{provider: "slack", merge: {unfurl_links: false}}, {provider: "discord", merge: {content: "elsewhere"}}]}) { userErrors { path message } } }`)
	m, body = read(t, <-mails)
	if m.Header.Get("Subject") != "Of the provider" || m.Header.Get("X-Order") != "17" || !strings.Contains(body, "Another text") || strings.Contains(body, "as HTML") ||
		!strings.Contains(body, `filename="order.txt"`) || !strings.Contains(body, "T25lIGJvb2s=") {
		t.Errorf("the mail is %v\n%s", m.Header, body)
	}
	if post := <-posts; !strings.Contains(post, `"unfurl_links":false`) || !strings.Contains(post, "Slack to Grace") || strings.Contains(post, "elsewhere") {
		t.Errorf("Slack got %s", post)
	}

	inbox, err := json.Marshal(e.query(t, key, `{ user(identifier: "grace") { inbox(first: 5) { nodes { title body } } } }`))
	if want := strings.Repeat(`,{"body":"The body for all","title":"For all: a book"}`, 2)[1:]; err != nil || !strings.Contains(string(inbox), want) {
		t.Errorf("the inbox is %s, %v", inbox, err)
	}

	// In a layout stands what a template says, and nothing else.
	ask(`mutation { createLayout(input: {identifier: "brand", name: "Brand", default: true, content: {
		text: "{{content}}\nfor {{recipient.firstName}}", html: "<h1>{{data.what}}</h1>{{content}}<a href=\"{{unsubscribeUrl}}\">Stop</a>"}}) { userErrors { path message } } }`)
	ask(`mutation { sendNotification(input: {to: {users: ["grace"]}, template: "order", data: {what: "a <book>"}}) { userErrors { path message } } }`)
	m, body = read(t, <-mails)
	body = strings.NewReplacer("=\r\n", "", "=3D", "=", "\r\n", "\n").Replace(body) // quoted-printable
	link := strings.Trim(m.Header.Get("List-Unsubscribe"), "<>")
	if html := `<h1>a &lt;book&gt;</h1><p>a &lt;book&gt; as HTML</p><a href="` + link + `">Stop</a>`; !strings.HasPrefix(link, "https://bells.example/") || !strings.Contains(body, html) || !strings.Contains(body, "The body for all\nfor Grace") {
		t.Errorf("in a layout the mail is %v\n%s\nwant %s", m.Header, body, html)
	}
	<-posts
	ask(`mutation { sendNotification(input: {to: {users: ["grace"]}, title: "Plain", body: "Without a template", channels: [EMAIL]}) { userErrors { path message } } }`)
	if m, body = read(t, <-mails); m.Header.Get("Subject") != "Plain" || strings.Contains(body, "Grace") || strings.Contains(body, "Stop") {
		t.Errorf("without a template the mail is %v\n%s", m.Header, body)
	}
}

// TestOverridesAreRefusedWithTheirPlace asks for what cannot be had.
func TestOverridesAreRefusedWithTheirPlace(t *testing.T) {
	t.Parallel()
	e := startEmbedded(t)
	key := e.demoKey(t)
	for _, tt := range []struct{ input, want string }{
		{`overrides: [{title: "x"}]`, `["overrides","0","channel"]`},
		{`overrides: [{channel: SMS}, {channel: IN_APP, title: "x"}]`, `["overrides","1","channel"]`},
		{`overrides: [{channel: SMS, html: "<p>"}]`, `["overrides","0","html"]`},
		{`overrides: [{channel: EMAIL, url: "javascript:x"}]`, `["overrides","0","url"]`},
		{`overrides: [{channel: EMAIL, headers: [{name: "Bcc", value: "eve@example.com"}]}]`, `["overrides","0","headers"]`},
		{`overrides: [{channel: EMAIL, headers: [{name: "X-A", value: "a\r\nBcc: eve@example.com"}]}]`, `["overrides","0","headers"]`},
		{`overrides: [{channel: EMAIL, headers: [{name: "X-A", value: "a"}, {name: "x-a", value: "b"}]}]`, `["overrides","0","headers","1","name"]`},
		{`overrides: [{channel: SMS, headers: [{name: "X-A", value: "a"}]}]`, `["overrides","0","headers"]`},
		{`overrides: [{provider: "fcm", merge: [1]}]`, `["overrides","0","merge"]`},
		{`overrides: [` + strings.Repeat(`{channel: SMS, title: "x"},`, 21) + `]`, `["overrides"]`},
		{`attachments: [{name: "a", content: "%%%"}]`, `["attachments","0","content"]`},
		{`attachments: [{name: "a", content: ""}]`, `["attachments","0","content"]`},
		{`attachments: [{name: "", content: "YQ=="}]`, `["attachments","0","name"]`},
		{`attachments: [{name: "a", contentType: "a\r\nb", content: "YQ=="}]`, `["attachments","0","contentType"]`},
	} {
		b, err := json.Marshal(e.query(t, key, `mutation { sendNotification(input: {to: {users: ["ada"]}, title: "T", `+tt.input+`}) { send { id } userErrors { path } } }`))
		if want := `{"path":` + tt.want + `}`; err != nil || !strings.Contains(string(b), want) || !strings.Contains(string(b), `"send":null`) {
			t.Errorf("%.100s: %s, %v; want %s", tt.input, b, err, want)
		}
	}
}

// demoKey is the secret key of the demo application.
func (e *embedded) demoKey(t *testing.T) string {
	t.Helper()
	keys, err := os.ReadFile(filepath.Join(e.dir, "demo.env"))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(keys), "CARILLON_SECRET_KEY=")
	secret, _, _ := strings.Cut(after, "\n")
	return strings.TrimSpace(secret)
}

// read reads a mail, with the text of all of its parts.
func read(t *testing.T, raw string) (*mail.Message, string) {
	t.Helper()
	m, err := mail.ReadMessage(strings.NewReader(raw))
	if err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	body, err := io.ReadAll(m.Body)
	if err != nil {
		t.Fatal(err)
	}
	return m, string(body)
}

// slackSink takes what is posted to an incoming webhook.
func slackSink(t *testing.T) (posts chan string, url string) {
	t.Helper()
	posts = make(chan string, 10)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		posts <- string(body)
		_, _ = io.WriteString(w, "ok")
	}))
	t.Cleanup(s.Close)
	return posts, s.URL + "/services/T/B/x"
}

// mailSink is a mail server that takes everything.
func mailSink(t *testing.T) (mails chan string, port int) {
	t.Helper()
	mails = make(chan string, 10)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go takeMails(conn, mails)
		}
	}()
	return mails, l.Addr().(*net.TCPAddr).Port
}

func takeMails(conn net.Conn, mails chan<- string) {
	defer conn.Close()
	in := bufio.NewScanner(conn)
	in.Buffer(nil, 1<<20)
	answer := func(s string) { _, _ = io.WriteString(conn, s+"\r\n") }
	answer("220 mail.test")
	for in.Scan() {
		switch verb := strings.ToUpper(in.Text()); {
		case verb == "DATA":
			answer("354 go on")
			var mail strings.Builder
			for in.Scan() && in.Text() != "." {
				mail.WriteString(in.Text() + "\r\n")
			}
			answer("250 taken")
			mails <- mail.String()
		case verb == "QUIT":
			answer("221 bye")
			return
		default:
			answer("250 ok")
		}
	}
}
