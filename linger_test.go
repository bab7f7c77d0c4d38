package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
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
	t.Run("WhatFollowsIsNoRequest", func(t *testing.T) {
		t.Parallel()
		const hidden = "GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n"
		for _, tt := range []struct {
			path, header, body string
			status             int
		}{
			{"/graphql", bearer, "zz\r\n" + hidden, 400},
			{"/graphql", bearer, "2\r\n{}and more\r\n" + hidden, 400},
			{"/graphql", bearer, "0\r\nno trailer\r\n" + hidden, 400},
			{"/graphql", "Authorization: Bearer sk_test_wrong", "zz\r\n" + hidden, 401},
			{"/v3/notifications", "X-ENGAGESPOT-API-KEY: k", "zz\r\n" + hidden, 401},
			{"/nowhere", bearer, "zz\r\n" + hidden, 404},
			{"/import/users.csv", bearer, "zz\r\n" + hidden, 415},
			{"/healthz", bearer, "zz\r\n" + hidden, 405},
		} {
			c := dialSmall(t, e.url)
			fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\n%s\r\nTransfer-Encoding: chunked\r\n\r\n%s", tt.path, tt.header, tt.body)
			in := bufio.NewReader(c)
			res, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			_, err = io.ReadAll(res.Body)
			res.Body.Close()
			if err != nil || res.StatusCode != tt.status || !res.Close {
				t.Errorf("%s, %q: status %d, closes %t, %v", tt.path, tt.body, res.StatusCode, res.Close, err)
			}
			_ = c.SetDeadline(time.Now().Add(5 * time.Second))
			if more, _ := io.ReadAll(in); len(more) > 0 {
				t.Errorf("%s, %q: then came %s", tt.path, tt.body, more)
			}
		}
	})
}

// TestConnectionsAreKeptWhileBodiesAreWhole sends requests over one connection;
// it ends with the one of whose body too much is left.
func TestConnectionsAreKeptWhileBodiesAreWhole(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(linger(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/whole" {
			_, _ = io.Copy(io.Discard, r.Body)
		}
		w.WriteHeader(http.StatusAccepted)
	})))
	t.Cleanup(server.Close)
	c := dialSmall(t, server.URL)
	in := bufio.NewReader(c)
	for _, tt := range []struct {
		path, length, body string
		closes             bool
	}{
		{"/whole", "Content-Length: 300000", strings.Repeat("x", 300_000), false},
		{"/whole", "Transfer-Encoding: chunked", "1\r\nx\r\n0\r\n\r\n", false},
		{"/left", "Content-Length: 3", "abc", false},                            // which net/http reads
		{"/left", "Content-Length: 300000", strings.Repeat("x", 100_000), true}, // and the rest never comes
	} {
		fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: here\r\n%s\r\n\r\n%s", tt.path, tt.length, tt.body)
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.Close != tt.closes {
			t.Errorf("%s, %s: closes %t", tt.path, tt.length, res.Close)
		}
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
