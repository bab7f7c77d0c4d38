package plan

import (
	"slices"
	"strconv"

	"github.com/vektah/gqlparser/v2/ast"

	"carillon/model"
)

// maxFields bounds a plan: fragments that spread others could make a large one
// of a small document.
const maxFields = 400

// kind says what a field is, within the type that has it.
type kind uint8

const (
	typeName kind = iota

	// Query, Viewer, User.
	queryViewer
	queryUser
	viewerUser
	userID
	userInbox

	// InboxConnection, InboxEdge, PageInfo, InboxCounters.
	inboxNodes
	inboxEdges
	inboxPageInfo
	inboxCounters
	inboxPosition
	edgeCursor
	edgeNode
	pageHasNext
	pageHasPrevious
	pageStart
	pageEnd
	countersTotal
	countersUnseen
	countersUnread

	// Notification, Block.
	itemID
	itemNumber
	itemTitle
	itemBody
	itemIcon
	itemURL
	itemBlocks
	itemData
	itemState
	itemCreatedAt
	itemSeenAt
	itemReadAt
	itemInteractedAt
	itemArchivedAt
	itemExpiresAt
	itemEditedAt
	blockID
	blockType
	blockText
	blockVariant
	blockLink
	blockExternalLink
	blockSrc

	// Subscription, InboxEvent, InboxMark.
	streamInbox
	eventPosition
	eventCounters
	eventReset
	eventAdded
	eventChanged
	eventRemoved
	eventMarked
	markAs
	markUpTo
	markAt
)

// member is a field of a type: what it is, and the type of what it selects,
// empty for a leaf.
type member struct {
	kind kind
	of   string
}

// types is the part of the schema that plans cover.
var types = map[string]map[string]member{
	"Query":  {"viewer": {queryViewer, "Viewer"}, "user": {queryUser, "User"}},
	"Viewer": {"user": {viewerUser, "User"}},
	"User":   {"id": {userID, ""}, "inbox": {userInbox, "InboxConnection"}},
	"InboxConnection": {
		"nodes": {inboxNodes, "Notification"}, "edges": {inboxEdges, "InboxEdge"}, "pageInfo": {inboxPageInfo, "PageInfo"},
		"counters": {inboxCounters, "InboxCounters"}, "position": {inboxPosition, ""},
	},
	"InboxEdge":     {"cursor": {edgeCursor, ""}, "node": {edgeNode, "Notification"}},
	"PageInfo":      {"hasNextPage": {pageHasNext, ""}, "hasPreviousPage": {pageHasPrevious, ""}, "startCursor": {pageStart, ""}, "endCursor": {pageEnd, ""}},
	"InboxCounters": {"total": {countersTotal, ""}, "unseen": {countersUnseen, ""}, "unread": {countersUnread, ""}},
	"Notification": {
		"id": {itemID, ""}, "number": {itemNumber, ""}, "title": {itemTitle, ""}, "body": {itemBody, ""}, "icon": {itemIcon, ""}, "url": {itemURL, ""},
		"blocks": {itemBlocks, "Block"}, "data": {itemData, ""}, "state": {itemState, ""}, "createdAt": {itemCreatedAt, ""}, "seenAt": {itemSeenAt, ""},
		"readAt": {itemReadAt, ""}, "interactedAt": {itemInteractedAt, ""}, "archivedAt": {itemArchivedAt, ""}, "expiresAt": {itemExpiresAt, ""}, "editedAt": {itemEditedAt, ""},
	},
	"Block": {
		"id": {blockID, ""}, "type": {blockType, ""}, "text": {blockText, ""}, "variant": {blockVariant, ""}, "link": {blockLink, ""},
		"externalLink": {blockExternalLink, ""}, "src": {blockSrc, ""},
	},
	"Subscription": {"inbox": {streamInbox, "InboxEvent"}},
	"InboxEvent": {
		"position": {eventPosition, ""}, "counters": {eventCounters, "InboxCounters"}, "reset": {eventReset, ""}, "added": {eventAdded, "Notification"},
		"changed": {eventChanged, "Notification"}, "removed": {eventRemoved, ""}, "marked": {eventMarked, "InboxMark"},
	},
	"InboxMark": {"as": {markAs, ""}, "upTo": {markUpTo, ""}, "at": {markAt, ""}},
}

// field is one thing to write.
type field struct {
	kind kind
	key  []byte // as it is written: "title":
	text []byte // of a __typename, as it is written
	of   []field
	args ast.ArgumentList // while it is compiled
}

// input is an argument: a variable, or what the document says.
type input struct{ variable, literal string }

// Plan is a compiled operation. It is not written to once it is made, and holds
// nothing of the document.
type Plan struct {
	root  []field
	user  *input // of Query.user; nil: the viewer's inbox is asked for
	first *input // of the inbox; nil: the default
	size  int
}

// Size is about how many bytes the plan takes.
func (p *Plan) Size() int { return p.size }

// Compile makes the plan of a validated operation; nil when it is not of the
// kind that plans are for.
func Compile(op *ast.OperationDefinition) *Plan {
	if len(op.Directives) > 0 {
		return nil
	}
	c := compiler{}
	p := &Plan{}
	var ok bool
	switch op.Operation {
	case ast.Query:
		p.root, ok = c.fields("Query", op.SelectionSet)
		ok = ok && p.isInboxQuery()
	case ast.Subscription:
		p.root, ok = c.fields("Subscription", op.SelectionSet)
		ok = ok && len(p.root) == 1 // its arguments were read when it was opened
	}
	if !ok {
		return nil
	}
	p.size = 256 + settle(p.root)
	return p
}

// settle lets go of the document, and says how many bytes the fields take.
func settle(fields []field) (size int) {
	for i := range fields {
		f := &fields[i]
		f.args = nil
		size += 128 + len(f.key) + len(f.text) + settle(f.of)
	}
	return size
}

// compiler counts what was compiled.
type compiler struct{ n int }

// fields compiles a selection on a type.
func (c *compiler) fields(on string, set ast.SelectionSet) ([]field, bool) {
	var selected []selection
	if !c.collect(on, set, &selected) {
		return nil, false
	}
	out := make([]field, len(selected))
	for i, s := range selected {
		f := s.fields[0]
		out[i] = field{key: append(strconv.AppendQuote(nil, s.key), ':'), args: f.Arguments} // a name is as it is in JSON
		if f.Name == "__typename" {
			out[i].text = strconv.AppendQuote(nil, on)
			continue
		}
		m, ok := types[on][f.Name]
		if !ok {
			return nil, false
		}
		out[i].kind = m.kind
		if m.of == "" {
			continue
		}
		var inner ast.SelectionSet
		for _, f := range s.fields {
			inner = append(inner, f.SelectionSet...)
		}
		if out[i].of, ok = c.fields(m.of, inner); !ok {
			return nil, false
		}
	}
	return out, true
}

// selection is what one key of an answer comes from: a field, which may be
// selected several times.
type selection struct {
	key    string
	fields []*ast.Field
}

// collect gathers the fields of a selection in the order of an answer. It
// reports false for what a plan does not cover.
func (c *compiler) collect(on string, set ast.SelectionSet, into *[]selection) bool {
	for _, s := range set {
		if c.n++; c.n > maxFields {
			return false
		}
		ok := true
		switch s := s.(type) {
		case *ast.Field:
			ok = len(s.Directives) == 0
			i := slices.IndexFunc(*into, func(other selection) bool { return other.key == s.Alias })
			if i < 0 {
				*into = append(*into, selection{s.Alias, []*ast.Field{s}})
			} else {
				(*into)[i].fields = append((*into)[i].fields, s)
			}
		case *ast.InlineFragment:
			ok = len(s.Directives) == 0 && (s.TypeCondition == "" || s.TypeCondition == on) && c.collect(on, s.SelectionSet, into)
		case *ast.FragmentSpread:
			d := s.Definition
			ok = len(s.Directives) == 0 && d != nil && len(d.Directives) == 0 && d.TypeCondition == on && c.collect(on, d.SelectionSet, into)
		}
		if !ok {
			return false
		}
	}
	return true
}

// isInboxQuery reports whether the query asks for one inbox, and notes whose
// and how much of it.
func (p *Plan) isInboxQuery() bool {
	found := 0
	for _, f := range p.root {
		switch f.kind {
		case queryUser:
			if p.user = inputOf(f.args.ForName("identifier").Value, ast.StringValue); p.user == nil {
				return false
			}
			found += p.noteInbox(f.of)
		case queryViewer:
			for _, u := range f.of {
				if u.kind == viewerUser {
					found += p.noteInbox(u.of)
				}
			}
		default: // its type's name
		}
	}
	roots := slices.DeleteFunc(slices.Clone(p.root), func(f field) bool { return f.kind == typeName })
	return found == 1 && len(roots) == 1
}

// noteInbox counts the inboxes that are selected of a user; one with arguments
// that a plan does not cover counts as many.
func (p *Plan) noteInbox(of []field) (found int) {
	for _, f := range of {
		if f.kind != userInbox {
			continue
		}
		found++
		for _, arg := range f.args {
			switch {
			case arg.Name == "first":
				if p.first = inputOf(arg.Value, ast.IntValue); p.first == nil {
					return 2
				}
			case arg.Value.Kind != ast.NullValue:
				return 2
			}
		}
	}
	return found
}

// inputOf reads an argument that is a variable or a literal of one kind; nil
// when it is neither.
func inputOf(v *ast.Value, literal ast.ValueKind) *input {
	switch v.Kind {
	case ast.Variable:
		return &input{variable: v.Raw}
	case literal:
		return &input{literal: v.Raw}
	}
	return nil
}

// User is the identifier that a query asks for; false when it asks for the
// viewer.
func (p *Plan) User(variables map[string]any) (identifier string, named bool) {
	if p.user == nil {
		return "", false
	}
	if p.user.variable == "" {
		return p.user.literal, true
	}
	identifier, _ = variables[p.user.variable].(string)
	return identifier, true
}

// First is how many items a query asks for; zero when it does so in a way that
// a plan does not cover.
func (p *Plan) First(variables map[string]any) int {
	if p.first == nil {
		return model.DefaultPage
	}
	var n int64
	if p.first.variable == "" {
		n, _ = strconv.ParseInt(p.first.literal, 10, 64) // or zero
	} else {
		value, given := variables[p.first.variable]
		if !given {
			return model.DefaultPage
		}
		n, _ = value.(int64)
	}
	if n < 1 || n > model.MaxPage {
		return 0
	}
	return int(n)
}
