package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"carillon/internal/lab"
)

// listeners is how many there are of each kind: clients of socket.io, and
// subscribers of GraphQL.
const listeners = 1000

// joinSocketIO opens a socket as Engagespot's clients do.
func joinSocketIO(ctx context.Context, addr, key, user string) (net.Conn, *bufio.Reader, error) {
	query := url.Values{"apiKey": {key}, "userId": {user}, "userSignature": {"undefined"}, "EIO": {"4"}, "transport": {"websocket"}}
	dialer := ws.Dialer{ReadBufferSize: 1024}
	conn, in, _, err := dialer.Dial(ctx, "ws://"+addr+"/socket.io/?"+query.Encode())
	if err != nil {
		return nil, nil, err
	}
	if in == nil {
		in = bufio.NewReaderSize(conn, 1024)
	}
	expect := func(prefix string) error {
		frame, err := hear(conn, in, nil)
		if err == nil && !bytes.HasPrefix(frame, []byte(prefix)) {
			err = fmt.Errorf("waited for %s, got %s", prefix, frame)
		}
		return err
	}
	err = expect(`0{"sid"`)
	if err == nil {
		err = wsutil.WriteClientText(conn, []byte("40"))
	}
	if err == nil {
		err = expect(`40{"sid"`)
	}
	if err != nil {
		conn.Close()
		return nil, nil, fmt.Errorf("opening a socket: %w", err)
	}
	return conn, in, nil
}

// sockets measures what a client of socket.io takes who waits, what a
// subscriber of GraphQL takes beside it, and how long one send takes to reach
// a thousand of each. There is no counterpart.
func (p *place) sockets(ctx context.Context) error {
	env, err := p.setup.CreateAppWith(ctx, "bells", "test", "open")
	if err != nil {
		return err
	}
	ours, err := p.serve(ctx, p.setup)
	if err != nil {
		return err
	}
	defer ours.Kill()
	client := lab.NewPatientClient("http://"+ours.addr, env.SecretKey, time.Minute)
	if err := client.Crowd(ctx, "all", 2*listeners); err != nil {
		return err
	}
	sign, err := newSigner(ctx, client)
	if err != nil {
		return err
	}
	var (
		before, alone, both float64
		a, b                *audience
	)
	if before, err = p.rests(ctx, ours); err != nil {
		return err
	}
	a, err = assemble(listeners, func(i int) (net.Conn, *bufio.Reader, error) {
		return joinSocketIO(ctx, ours.addr, env.APIKey, userName(i))
	})
	if err != nil {
		return err
	}
	defer a.leave()
	if alone, err = p.rests(ctx, ours); err != nil {
		return err
	}
	b, err = assemble(listeners, func(i int) (net.Conn, *bufio.Reader, error) {
		return joinOurs(ctx, ours.addr, sign.token(userName(listeners+i)))
	})
	if err != nil {
		return err
	}
	defer b.leave()
	if both, err = p.rests(ctx, ours); err != nil {
		return err
	}
	p.add(result{work: "idle client of socket.io (RSS)", ours: fmt.Sprintf("%.1f KB", (alone-before)/listeners/1024)})
	p.add(result{work: "idle GraphQL subscriber beside it (RSS)", ours: fmt.Sprintf("%.1f KB", (both-alone)/listeners/1024)})

	times, err := p.tellBoth(ctx, ours, env.SecretKey, a, b)
	if err != nil {
		return err
	}
	p.add(result{work: fmt.Sprintf("one send to %s socket.io clients and as many subscribers", count(listeners)), ours: fmt.Sprintf("%.0f ms", ms(time.Duration(median(times, func(d time.Duration) float64 { return float64(d) }))))})
	return nil
}

// tellBoth sends to everyone a few times, and measures until the last of both
// kinds has it. The first one makes the inboxes, and is not counted.
func (p *place) tellBoth(ctx context.Context, ours *side, key string, a, b *audience) (times []time.Duration, err error) {
	w, err := dialWire(ctx, ours.addr)
	if err != nil {
		return nil, err
	}
	defer w.conn.Close()
	const text = `mutation ($title: String!) { sendNotification(input: {to: {topics: ["all"]}, title: $title}) { send { id } userErrors { message } } }`
	for n := range 1 + 5*p.rounds {
		title := fmt.Sprintf("one to all %d", n)
		body, err := json.Marshal(map[string]any{"query": text, "variables": map[string]any{"title": title}})
		if err != nil {
			return nil, err
		}
		send := func(string) error {
			answer, err := w.do(request("/graphql", key, body))
			if err == nil && !bytes.Contains(answer, []byte(`"send":{"id":`)) {
				err = fmt.Errorf("answer: %s", answer)
			}
			return err
		}
		took, err := b.tell(func(title string) error {
			_, err := a.tell(send, title)
			return err
		}, title)
		if err != nil {
			return nil, err
		}
		if n > 0 {
			times = append(times, took)
		}
	}
	return times, nil
}
