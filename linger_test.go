package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// TestRefusalsOfLargeBodiesAreRead sends as simple clients do: all of the body,
// and then it reads the answer.
func TestRefusalsOfLargeBodiesAreRead(t *testing.T) {
	t.Parallel()
	e := startEmbedded(t)
	var made environmentJSON
	_, out, errs := e.cli(t, "app", "create", "--name", "shop", "--environment", "test", "--json")
	if err := json.Unmarshal([]byte(out), &made); err != nil {
		t.Fatalf("app create: %v\n%s", err, errs)
	}
	sized := func(n int) (string, func(io.Writer) error) {
		return fmt.Sprintf("Content-Length: %d", n), func(w io.Writer) error {
			for part := bytes.Repeat([]byte("x"), 64<<10); n > 0; n -= len(part) {
				if _, err := w.Write(part[:min(n, len(part))]); err != nil {
					return err
				}
			}
			return nil
		}
	}
	chunked := func(n int) (string, func(io.Writer) error) {
		return "Transfer-Encoding: chunked", func(w io.Writer) error {
			for part := strings.Repeat("x", 64<<10); n > 0; n -= len(part) {
				if _, err := fmt.Fprintf(w, "%x\r\n%s\r\n", len(part), part); err != nil {
					return err
				}
			}
			_, err := io.WriteString(w, "0\r\n\r\n")
			return err
		}
	}
	const kept, closed = "keep-alive", "close"
	bearer := "Authorization: Bearer " + made.SecretKey
	tests := []struct {
		name, path, header, connection string
		form                           func(int) (string, func(io.Writer) error)
		size, status                   int
	}{
		{"GraphQL", "/graphql", bearer, kept, sized, 12 << 20, 413},
		{"GraphQLAndClose", "/graphql", bearer, closed, sized, 12 << 20, 413},
		{"GraphQLInChunks", "/graphql", bearer, kept, chunked, 12 << 20, 413},
		{"GraphQLInChunksAndClose", "/graphql", bearer, closed, chunked, 12 << 20, 413},
		{"JustOver", "/graphql", bearer, closed, sized, 1<<20 + 1, 413},
		{"Dialect", "/v3/notifications", "X-ENGAGESPOT-API-KEY: k", kept, sized, 12 << 20, 401},
		{"Stranger", "/graphql", "Authorization: Bearer sk_test_wrong", kept, sized, 12 << 20, 401},
		{"StrangerAndClose", "/graphql", "Authorization: Bearer sk_test_wrong", closed, sized, 200 << 10, 401},
		{"Nowhere", "/nowhere", bearer, kept, chunked, 12 << 20, 404},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			length, send := tt.form(tt.size)
			c := dialSmall(t, e.url)
			fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\n%s\r\nConnection: %s\r\n%s\r\n\r\n", tt.path, tt.header, tt.connection, length)
			if err := send(c); err != nil {
				t.Fatal("the body was cut:", err)
			}
			res, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal("the answer was cut:", err)
			}
			defer res.Body.Close()
			if body, err := io.ReadAll(res.Body); err != nil || res.StatusCode != tt.status || len(body) == 0 {
				t.Errorf("status %d, %s, %v", res.StatusCode, body, err)
			}
		})
	}
}

// TestRefusalsDoNotWaitForTheBody sees that a client that reads early is not
// made to send all, and that one that asked first is not told to go on.
func TestRefusalsDoNotWaitForTheBody(t *testing.T) {
	t.Parallel()
	e := startEmbedded(t)
	for _, header := range []string{"X-Nothing: 1", "Expect: 100-continue"} {
		c := dialSmall(t, e.url)
		fmt.Fprintf(c, "POST /graphql HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\nAuthorization: Bearer sk_test_wrong\r\n%s\r\nContent-Length: 1000000000\r\n\r\n", header)
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(res.Body); err != nil || res.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: status %d, %s, %v", header, res.StatusCode, body, err)
		}
		res.Body.Close()
	}
}

// dialSmall connects with small buffers, so that what a server does not read
// stays with the client.
func dialSmall(t *testing.T, to string) net.Conn {
	t.Helper()
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	c, err := new(net.Dialer).DialContext(t.Context(), "tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.(*net.TCPConn).SetWriteBuffer(32 << 10); err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	return c
}
