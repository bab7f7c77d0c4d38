package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// watcher is a subscriber that notes what arrives, and when.
type watcher struct {
	conn   net.Conn
	in     *bufio.Reader
	titles func(frame []byte) ([]string, error)

	mu   sync.Mutex
	came map[string]time.Time
	err  error // why it ended
}

const subscription = `subscription { inbox(first: 1) { position counters { total unseen unread } reset added { id title createdAt } } }`

// joinOurs subscribes over graphql-transport-ws and reads the snapshot. The
// connection is handed back with what was read ahead of it.
func joinOurs(ctx context.Context, addr, token string) (net.Conn, *bufio.Reader, error) {
	dialer := ws.Dialer{Protocols: []string{"graphql-transport-ws"}, ReadBufferSize: 1024}
	conn, in, _, err := dialer.Dial(ctx, "ws://"+addr+"/graphql")
	if err != nil {
		return nil, nil, err
	}
	if in == nil {
		in = bufio.NewReaderSize(conn, 1024)
	}
	say := func(m map[string]any) error {
		b, err := json.Marshal(m)
		if err != nil {
			return err
		}
		return wsutil.WriteClientText(conn, b)
	}
	expect := func(part string) error {
		b, err := hear(conn, in, nil)
		if err == nil && !bytes.Contains(b, []byte(part)) {
			err = fmt.Errorf("waited for %s, got %s", part, b)
		}
		return err
	}
	err = say(map[string]any{"type": "connection_init", "payload": map[string]any{"authorization": "Bearer " + token}})
	if err == nil {
		err = expect("connection_ack")
	}
	if err == nil {
		err = say(map[string]any{"id": "1", "type": "subscribe", "payload": map[string]any{"query": subscription}})
	}
	if err == nil {
		err = expect(`"FIRST"`)
	}
	if err != nil {
		conn.Close()
		return nil, nil, fmt.Errorf("subscribing: %w", err)
	}
	return conn, in, nil
}

func joinBare(ctx context.Context, addr string) (net.Conn, *bufio.Reader, error) {
	dialer := ws.Dialer{ReadBufferSize: 1024}
	conn, in, _, err := dialer.Dial(ctx, "ws://"+addr+"/ws")
	if err == nil && in == nil {
		in = bufio.NewReaderSize(conn, 1024)
	}
	return conn, in, err
}

// hear reads the next message into a buffer, and answers pings.
func hear(conn net.Conn, in io.Reader, buffer []byte) ([]byte, error) {
	for {
		h, err := ws.ReadHeader(in)
		if err != nil {
			return nil, err
		}
		if int64(cap(buffer)) < h.Length {
			buffer = make([]byte, h.Length)
		}
		buffer = buffer[:h.Length]
		if _, err := io.ReadFull(in, buffer); err != nil {
			return nil, err
		}
		switch {
		case h.OpCode == ws.OpPing:
			err = wsutil.WriteClientMessage(conn, ws.OpPong, buffer)
		case h.OpCode == ws.OpClose:
			err = fmt.Errorf("the server closes: %s", buffer)
		case bytes.HasPrefix(buffer, []byte(`{"type":"ping"`)):
			err = wsutil.WriteClientText(conn, []byte(`{"type":"pong"}`))
		case len(buffer) == 1 && buffer[0] == '2': // a heartbeat of socket.io
			err = wsutil.WriteClientText(conn, []byte("3"))
		default:
			return buffer, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

func watchOurs(ctx context.Context, addr, token string) (*watcher, error) {
	conn, in, err := joinOurs(ctx, addr, token)
	if err != nil {
		return nil, err
	}
	return newWatcher(conn, in, func(frame []byte) ([]string, error) {
		var m struct {
			Type    string
			Payload struct {
				Data struct {
					Inbox struct{ Added []struct{ Title string } }
				}
			}
		}
		if err := json.Unmarshal(frame, &m); err != nil {
			return nil, err
		}
		if m.Type != "next" {
			return nil, fmt.Errorf("the stream says %s", frame)
		}
		var titles []string
		for _, n := range m.Payload.Data.Inbox.Added {
			titles = append(titles, n.Title)
		}
		return titles, nil
	}), nil
}

func watchBare(ctx context.Context, addr string) (*watcher, error) {
	conn, in, err := joinBare(ctx, addr)
	if err != nil {
		return nil, err
	}
	return newWatcher(conn, in, func(frame []byte) ([]string, error) {
		var e bareEvent
		err := json.Unmarshal(frame, &e)
		if e.Title == "counted" {
			return nil, err
		}
		return []string{e.Title}, err
	}), nil
}

func newWatcher(conn net.Conn, in *bufio.Reader, titles func([]byte) ([]string, error)) *watcher {
	w := &watcher{conn: conn, in: in, titles: titles, came: map[string]time.Time{}}
	go w.listen()
	return w
}

func (w *watcher) listen() {
	var buffer []byte
	for {
		frame, err := hear(w.conn, w.in, buffer)
		now := time.Now()
		buffer = frame
		var titles []string
		if err == nil {
			titles, err = w.titles(frame)
		}
		w.mu.Lock()
		for _, title := range titles {
			if _, twice := w.came[title]; twice {
				err = fmt.Errorf("%s came twice", title)
			}
			w.came[title] = now
		}
		w.err = err
		w.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// await waits until exactly so many have arrived.
func (w *watcher) await(n int, within time.Duration) error {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(within); ; <-tick.C {
		w.mu.Lock()
		got, err := len(w.came), w.err
		w.mu.Unlock()
		switch {
		case err != nil:
			return fmt.Errorf("listening: %w", err)
		case got == n:
			return nil
		case got > n, time.Now().After(end):
			return fmt.Errorf("%d sends were acknowledged, %d arrived", n, got)
		}
	}
}

func (w *watcher) arrived() map[string]time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.came
}

func (w *watcher) close() { w.conn.Close() }
