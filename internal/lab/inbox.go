package lab

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// Item is a notification as an inbox shows it. Times are as the server writes
// them, empty when it says null.
type Item struct {
	ID, Title                                string
	SeenAt, ReadAt, InteractedAt, ArchivedAt string
}

// Counters are an inbox's numbers.
type Counters struct{ Total, Unseen, Unread int }

// Mark is a mark-all that an event tells of.
type Mark struct{ As, UpTo, At string }

// InboxEvent is one event of an inbox stream, as the schema describes it.
type InboxEvent struct {
	Position       string
	Counters       Counters
	Reset          string // empty: none
	Added, Changed []Item
	Removed        []string
	Marked         []Mark
}

// Inbox is what the inbox query says.
type Inbox struct {
	Position string
	Counters Counters
	Items    []Item
}

const itemFields = "id title seenAt readAt interactedAt archivedAt"

const watchInbox = `subscription ($after: InboxPosition) { inbox(after: $after, first: 100) {
	position counters { total unseen unread } reset added { ` + itemFields + ` } changed { ` + itemFields + ` } removed marked { as upTo at }
} }`

const readInbox = `query ($user: String!, $first: Int!, $after: PageCursor, $filter: InboxFilter) { user(identifier: $user) { inbox(first: $first, after: $after, filter: $filter) {
	position counters { total unseen unread } nodes { ` + itemFields + ` } pageInfo { hasNextPage endCursor }
} } }`

// Inbox reads all of a user's inbox; with archived, also what was put away. The
// pages are of one position, or it begins anew.
func (c *Client) Inbox(ctx context.Context, user string, archived bool) (Inbox, error) {
	filter := map[string]any{}
	if archived {
		filter["archived"] = nil
	}
	for {
		var all Inbox
		var after *string
		for {
			var out struct {
				User struct {
					Inbox struct {
						Position string
						Counters Counters
						Nodes    []Item
						PageInfo struct {
							HasNextPage bool
							EndCursor   *string
						}
					}
				}
			}
			if err := c.Do(ctx, readInbox, map[string]any{"user": user, "first": 100, "after": after, "filter": filter}, &out); err != nil {
				return all, err
			}
			page := out.User.Inbox
			if after != nil && page.Position != all.Position {
				break // it moved meanwhile
			}
			all.Position, all.Counters, all.Items = page.Position, page.Counters, append(all.Items, page.Nodes...)
			if !page.PageInfo.HasNextPage {
				return all, nil
			}
			after = page.PageInfo.EndCursor
		}
	}
}

// Counters reads the numbers of a user's inbox.
func (c *Client) Counters(ctx context.Context, user string) (Counters, error) {
	var out struct {
		User struct{ Inbox struct{ Counters Counters } }
	}
	err := c.Do(ctx, `query ($user: String!) { user(identifier: $user) { inbox(first: 1) { counters { total unseen unread } } } }`, map[string]any{"user": user}, &out)
	return out.User.Inbox.Counters, err
}

// Stream is an open subscription to the inbox of its client's user.
type Stream interface {
	// Next waits for the next event. Its error is an *Ended, an *AnswerError,
	// or that of a connection that broke.
	Next() (InboxEvent, error)
	// Cut ends the connection without a word, Close in good order. Both may be
	// called at any time.
	Cut()
	Close()
}

// WatchSocket subscribes over a WebSocket of its own, after a position or, when
// that is empty, from the beginning.
func (c *Client) WatchSocket(ctx context.Context, after string) (Stream, error) {
	s, err := c.Dial(ctx)
	if err != nil {
		return nil, err
	}
	id, err := s.subscribe(watchInbox, positionOf(after))
	if err != nil {
		s.Cut()
		return nil, err
	}
	return &socketStream{s, id}, nil
}

func positionOf(after string) map[string]any {
	if after == "" {
		return nil
	}
	return map[string]any{"after": after}
}

type socketStream struct {
	*Socket
	id string
}

func (s *socketStream) Next() (InboxEvent, error) {
	data, err := s.answer(s.id)
	if err != nil {
		return InboxEvent{}, err
	}
	return eventOf(data)
}

func eventOf(data json.RawMessage) (InboxEvent, error) {
	var out struct{ Inbox InboxEvent }
	if err := json.Unmarshal(data, &out); err != nil {
		return InboxEvent{}, fmt.Errorf("reading an event: %w", err)
	}
	return out.Inbox, nil
}

// WatchEvents subscribes over server-sent events, otherwise as WatchSocket. By
// header says to hand in the position as Last-Event-ID and not as a variable.
func (c *Client) WatchEvents(ctx context.Context, after string, byHeader bool) (Stream, error) {
	variables := positionOf(after)
	if byHeader {
		variables = nil
	}
	body, err := json.Marshal(map[string]any{"query": watchInbox, "variables": variables})
	if err != nil {
		return nil, err
	}
	e := new(eventStream)
	// The request lives as long as the stream; Cut ends it.
	ctx, e.cancel = context.WithCancel(context.WithoutCancel(ctx))
	late := time.AfterFunc(connectWithin, e.cancel)
	defer late.Stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("Authorization", "Bearer "+c.Credential)
	if byHeader && after != "" {
		req.Header.Set("Last-Event-ID", after)
	}
	if err := e.open(req); err != nil {
		e.Cut()
		return nil, err
	}
	return e, nil
}

// eventStream is a stream over server-sent events on a connection of its own.
type eventStream struct {
	conn   atomic.Pointer[net.TCPConn]
	cancel context.CancelFunc
	body   io.ReadCloser
	in     *bufio.Reader
}

func (e *eventStream) open(req *http.Request) error {
	transport := &http.Transport{
		DisableKeepAlives: true, DisableCompression: true,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			if tcp, ok := conn.(*net.TCPConn); ok {
				e.conn.Store(tcp)
			}
			return conn, err
		},
	}
	res, err := transport.RoundTrip(req) //nolint:bodyclose // Cut and Close end it
	if err != nil {
		return err
	}
	e.body, e.in = res.Body, bufio.NewReader(res.Body)
	if res.StatusCode != http.StatusOK {
		raw, _ := io.ReadAll(e.in) // whatever there is of it
		return &AnswerError{res.StatusCode, string(raw)}
	}
	return nil
}

func (e *eventStream) Next() (InboxEvent, error) {
	var id, kind, data string
	for {
		line, err := e.in.ReadString('\n')
		if errors.Is(err, io.EOF) && line == "" {
			return InboxEvent{}, &Ended{} // a body that is cut off gives another error
		}
		if err != nil {
			return InboxEvent{}, err
		}
		line = strings.TrimSuffix(line, "\n")
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "" && kind == "next":
			return e.event(id, data)
		case line == "" && kind != "":
			return InboxEvent{}, fmt.Errorf("an event %q came", kind)
		case field == "id":
			id = value
		case field == "event":
			kind = value
		case field == "data":
			data += value
		}
	}
}

func (e *eventStream) event(id, data string) (InboxEvent, error) {
	inner, err := dataOf(http.StatusOK, []byte(data))
	if err != nil {
		return InboxEvent{}, err
	}
	event, err := eventOf(inner)
	if err == nil && id != event.Position {
		err = fmt.Errorf("an event of position %s has the id %q", event.Position, id)
	}
	return event, err
}

func (e *eventStream) Cut() {
	if conn := e.conn.Load(); conn != nil {
		reset(conn)
	}
	e.cancel()
}

func (e *eventStream) Close() {
	e.cancel()
	if e.body != nil {
		e.body.Close()
	}
}
