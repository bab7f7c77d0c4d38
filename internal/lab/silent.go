package lab

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"time"
)

// UserToken is a token of a user that counts for an hour, made as a back end
// makes it. Making one with the command line takes a process each.
func (e Environment) UserToken(user string) (string, error) {
	claims, err := json.Marshal(map[string]any{"apiKey": e.APIKey, "sub": user, "exp": time.Now().Add(time.Hour).Unix()})
	if err != nil {
		return "", err
	}
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString(claims)
	mac := hmac.New(sha256.New, []byte(e.SigningSecret))
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)), nil
}

// watchBodies is watchInbox with all that fills a connection.
const watchBodies = `subscription { inbox(first: 1) { position added { title body } } }`

// smallBuffer is as little as the kernel keeps for a peer that does not read.
const smallBuffer = 4 << 10

// Silent subscribes to the inbox of the client's user over a WebSocket or, with
// events, over server-sent events, and reads nothing from there on. The
// connection is the caller's to close.
func (c *Client) Silent(ctx context.Context, events bool) (net.Conn, error) {
	conn, err := c.silently(ctx, events)
	if err != nil {
		return nil, err
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		err = tcp.SetReadBuffer(smallBuffer)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

func (c *Client) silently(ctx context.Context, events bool) (net.Conn, error) {
	if !events {
		s, err := c.Dial(ctx)
		if err != nil {
			return nil, err
		}
		if _, err := s.subscribe(watchBodies, nil); err != nil {
			s.Cut()
			return nil, err
		}
		return s.conn, nil
	}
	body, err := json.Marshal(map[string]string{"query": watchBodies})
	if err != nil {
		return nil, err
	}
	addr := strings.TrimSuffix(strings.TrimPrefix(c.URL, "http://"), "/graphql")
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	_, err = fmt.Fprintf(conn, "POST /graphql HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nAccept: text/event-stream\r\n"+
		"Authorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s", addr, c.Credential, len(body), body)
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}
