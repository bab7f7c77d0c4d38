package engagespot

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"

	"carillon/auth"
	"carillon/inbox"
	"carillon/model"
	"carillon/rest/engagespot/socketio"
)

// Streams is what live updates ask of inboxes; *inbox.Service has it.
type Streams interface {
	Watch(ctx context.Context, env model.EnvID, user model.UserID, o inbox.WatchOptions, wake func()) (*inbox.Stream, error)
}

// RealtimeConfig is what live updates are made of. All but Settings is
// required.
type RealtimeConfig struct {
	Streams  Streams
	Catalog  CategoryNames
	Gate     *auth.Gate // its Refuse is not used
	Sessions *auth.Sessions
	Settings socketio.Settings
	Log      *slog.Logger
}

// NewRealtime makes the endpoint of live updates, which Engagespot's clients
// look for at /socket.io/.
func NewRealtime(c RealtimeConfig) *socketio.Handler {
	lobby := &lobby{streams: c.Streams, gate: c.Gate, sessions: c.Sessions, names: newNames(c.Catalog)}
	return socketio.New(lobby, c.Settings, c.Log)
}

// lobby lets sockets in.
type lobby struct {
	streams  Streams
	gate     *auth.Gate
	sessions *auth.Sessions
	names    *names
}

// arrival is what is kept of a request for a socket.
type arrival struct {
	from  auth.Source
	given auth.Presented
	wrong error // what is wrong with the query; nil: nothing
}

// Peer reads the query of a request: credentials stand there, since browsers
// can send a WebSocket no headers.
func (l *lobby) Peer(r *http.Request) any {
	a := arrival{from: auth.SourceOf(r)}
	if l.gate.Source != nil {
		a.from = l.gate.Source(r)
	}
	query := r.URL.Query()
	for name, to := range map[string]*string{"apiKey": &a.given.Key, "userId": &a.given.User, "userSignature": &a.given.Signature} {
		switch values := query[name]; {
		case len(values) > 1:
			a.wrong = auth.Refuse("the query has %s %d times", name, len(values))
		case len(values) == 1:
			*to = Signature(values[0])
		}
	}
	return a
}

// presented adds the token that may come with the connect of a namespace. It
// decides alone then, but may not be of another user than the query says.
func (a arrival) presented(sent json.RawMessage) (auth.Presented, error) {
	p := a.given
	p.Legacy = true
	if a.wrong != nil || sent == nil {
		return p, a.wrong
	}
	var with struct {
		Token *string `json:"token"`
	}
	if err := json.Unmarshal(sent, &with); err != nil {
		return p, auth.Refuse("the token is no text: %w", err)
	}
	if with.Token != nil && *with.Token != "" {
		p.Authorization, p.Signature = "Bearer "+*with.Token, ""
	}
	return p, nil
}

// Open lets a user into a namespace.
func (l *lobby) Open(ctx context.Context, peer any, sent json.RawMessage, wake func(), end func(socketio.How)) (socketio.Session, error) {
	a := peer.(arrival)
	p, err := a.presented(sent)
	if err != nil {
		return nil, l.gate.Counted(a.from, err)
	}
	caller, err := l.gate.Admit(ctx, a.from, p)
	switch {
	case err != nil:
		return nil, err
	case caller.UserID == 0:
		return nil, unknownUser(caller)
	}
	stream, err := l.streams.Watch(ctx, caller.Env.ID, caller.UserID, inbox.WatchOptions{Tail: true}, wake)
	if err != nil {
		return nil, err
	}
	g := &guest{names: l.names, stream: stream, owner: owner{caller.Env.ID, caller.UserID}}
	g.held = l.sessions.Open(caller, func(why auth.Reason) { end(hows[why]) })
	return g, nil
}

// hows says how sockets end. An expired token may be replaced by a fresh one.
var hows = map[auth.Reason]socketio.How{
	auth.ReasonExpired: socketio.ComeBack,
	auth.ReasonRevoked: socketio.ForGood,
	auth.ReasonNoUser:  socketio.ForGood,
}

// owner is the user whose sockets are counted together.
type owner struct {
	env  model.EnvID
	user model.UserID
}

// guest is one user on one socket.
type guest struct {
	names  *names
	stream *inbox.Stream
	held   *auth.Session
	owner  owner
	before memory
	step   *step // what is being told; nil: nothing
}

// step is a step of the inbox, as the events that are left of it.
type step struct {
	counters model.Counters
	left     []told
}

func (g *guest) Owner() any { return g.owner }

func (g *guest) Close() {
	g.held.Close()
	g.stream.Close()
}

// Next tells the next event. A step that has several is told event by event,
// and the next one is asked for when they are out.
func (g *guest) Next(ctx context.Context) (socketio.Event, bool, error) {
	for g.step == nil {
		e, ok, err := g.stream.Next(ctx)
		if !ok || err != nil {
			return socketio.Event{}, false, err
		}
		if events := tell(&e, &g.before); len(events) > 0 {
			g.step = &step{e.Counters, events}
		}
		g.before.note(&e)
	}
	next := g.step.left[0]
	payload, err := g.payload(ctx, next)
	if err != nil {
		return socketio.Event{}, false, err // it is still the next
	}
	if g.step.left = g.step.left[1:]; len(g.step.left) == 0 {
		g.step = nil
	}
	return socketio.Event{Name: next.name, Payload: payload}, true, nil
}

// reference names a notification to clients of every age.
type reference struct {
	ID           int64 `json:"id"`
	Notification struct {
		ID int64 `json:"id"`
	} `json:"notification"`
	Unseen *int64 `json:"unreadNotificationCount,omitempty"`
}

// payload is what comes with an event: the union of what clients of every age
// read.
func (g *guest) payload(ctx context.Context, t told) ([]byte, error) {
	var body any
	switch t.name {
	case eventNew, eventInteracted:
		categories, err := g.names.of(ctx, g.owner.env, t.item.CategoryID)
		if err != nil {
			return nil, err
		}
		if body = NewLiveNotification(*t.item, categories); t.name == eventNew {
			body = map[string]any{"notification": body}
		}
	case eventRead, eventDeleted, eventSeen:
		r := reference{ID: int64(t.id)}
		r.Notification.ID = r.ID
		if t.name == eventSeen {
			r.Unseen = &g.step.counters.Unseen
		}
		body = r
	case eventAllSeen:
		body = map[string]int64{"unreadNotificationCount": g.step.counters.Unseen}
	default:
		body = struct{}{}
	}
	payload, err := model.EncodeJSON(body)
	if err != nil {
		return nil, fmt.Errorf("encoding %s: %w", t.name, err)
	}
	return payload, nil
}
