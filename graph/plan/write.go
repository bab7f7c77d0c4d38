package plan

import (
	"encoding/json"

	"carillon/graph/view"
	"carillon/internal/cursor"
	"carillon/model"
)

// Answer is what the inbox query is answered with.
type Answer struct {
	Epoch uint64
	User  model.UserID
	Inbox *model.Inbox
	Kind  byte // of the inbox's page cursors
}

// AppendData appends the data of a query.
func (p *Plan) AppendData(b []byte, a *Answer) []byte {
	return object(b, p.root, a, func(b []byte, f *field, a *Answer) []byte {
		if f.kind == queryViewer {
			return object(b, f.of, a, func(b []byte, f *field, a *Answer) []byte { return object(b, f.of, a, appendUser) })
		}
		return object(b, f.of, a, appendUser)
	})
}

// object writes the fields of an object, each with write.
func object[T any](b []byte, fields []field, of T, write func(b []byte, f *field, of T) []byte) []byte {
	b = append(b, '{')
	for i := range fields {
		if i > 0 {
			b = append(b, ',')
		}
		f := &fields[i]
		b = append(b, f.key...)
		if f.kind == typeName {
			b = append(b, f.text...)
		} else {
			b = write(b, f, of)
		}
	}
	return append(b, '}')
}

// list writes an object for each element.
func list[T any](b []byte, fields []field, of []T, write func(b []byte, f *field, of *T) []byte) []byte {
	b = append(b, '[')
	for i := range of {
		if i > 0 {
			b = append(b, ',')
		}
		b = object(b, fields, &of[i], write)
	}
	return append(b, ']')
}

func appendUser(b []byte, f *field, a *Answer) []byte {
	if f.kind == userID {
		return appendText(b, view.UserID(a.User))
	}
	return object(b, f.of, a, appendInbox) // userInbox
}

func appendInbox(b []byte, f *field, a *Answer) []byte {
	in := a.Inbox
	switch f.kind {
	case inboxNodes:
		return list(b, f.of, in.Items, appendItem)
	case inboxEdges:
		return list(b, f.of, in.Items, func(b []byte, f *field, n *model.Notification) []byte {
			if f.kind == edgeCursor {
				return appendCursor(b, a.Kind, n)
			}
			return object(b, f.of, n, appendItem)
		})
	case inboxPageInfo:
		return object(b, f.of, a, appendPageInfo)
	case inboxCounters:
		return object(b, f.of, &in.Counters, appendCounters)
	default: // inboxPosition
		return appendPosition(b, a.Epoch, a.User, in.Seq)
	}
}

func appendPageInfo(b []byte, f *field, a *Answer) []byte {
	items := a.Inbox.Items
	switch {
	case f.kind == pageHasNext:
		return appendBool(b, a.Inbox.HasMore)
	case f.kind == pageHasPrevious:
		return appendBool(b, false)
	case len(items) == 0:
		return append(b, "null"...)
	case f.kind == pageStart:
		return appendCursor(b, a.Kind, &items[0])
	default: // pageEnd
		return appendCursor(b, a.Kind, &items[len(items)-1])
	}
}

func appendCursor(b []byte, kind byte, n *model.Notification) []byte {
	return appendText(b, cursor.EncodePage(kind, model.PageKey{At: n.SortAt, ID: int64(n.ID)}))
}

func appendPosition(b []byte, epoch uint64, user model.UserID, seq int64) []byte {
	return appendText(b, cursor.EncodePosition(model.Position{Epoch: epoch, User: user, Seq: seq}))
}

func appendCounters(b []byte, f *field, c *model.Counters) []byte {
	switch f.kind {
	case countersTotal:
		return appendCount(b, c.Total)
	case countersUnseen:
		return appendCount(b, c.Unseen)
	default: // countersUnread
		return appendCount(b, c.Unread)
	}
}

func appendItem(b []byte, f *field, n *model.Notification) []byte {
	switch f.kind {
	case itemID:
		return appendItemID(b, n.ID)
	case itemNumber:
		return append(appendInt(append(b, '"'), int64(n.ID)), '"')
	case itemTitle:
		return appendText(b, n.Content.Title)
	case itemBody:
		return appendOptional(b, n.Content.Body)
	case itemIcon:
		return appendOptional(b, n.Content.Icon)
	case itemURL:
		return appendOptional(b, n.Content.URL)
	case itemBlocks:
		return list(b, f.of, n.Content.Blocks, appendBlock)
	case itemData:
		return appendData(b, n.Content.Data)
	case itemState:
		return appendOptional(b, n.State)
	case itemCreatedAt:
		return appendTime(b, n.CreatedAt)
	case itemSeenAt:
		return appendTime(b, n.SeenAt)
	case itemReadAt:
		return appendTime(b, n.ReadAt)
	case itemInteractedAt:
		return appendTime(b, n.InteractedAt)
	case itemArchivedAt:
		return appendTime(b, n.ArchivedAt)
	case itemEditedAt:
		return appendTime(b, n.Content.EditedAt)
	default: // itemExpiresAt
		return appendTime(b, n.ExpiresAt)
	}
}

func appendItemID(b []byte, id model.NotificationID) []byte {
	b = append(append(b, '"'), string(view.KindNotification)...)
	return append(appendInt(append(b, '_'), int64(id)), '"')
}

func appendData(b []byte, data json.RawMessage) []byte {
	if len(data) == 0 {
		return append(b, "{}"...)
	}
	return append(b, data...)
}

func appendBlock(b []byte, f *field, k *model.Block) []byte {
	switch f.kind {
	case blockID:
		return appendText(b, k.ID)
	case blockType:
		return appendText(b, view.BlockType(k.Type))
	case blockText:
		return appendOptional(b, k.Text)
	case blockVariant:
		return appendText(b, view.BlockVariant(k.Variant))
	case blockLink:
		return appendOptional(b, k.Link)
	case blockExternalLink:
		return appendBool(b, k.ExternalLink)
	default: // blockSrc
		return appendOptional(b, k.Src)
	}
}

// Event is an event of the inbox stream.
type Event struct {
	Epoch uint64
	*model.InboxEvent
}

// AppendEvent appends the answer to an event of a subscription, {"data":…}.
func (p *Plan) AppendEvent(b []byte, e *Event) []byte {
	b = append(b, `{"data":`...)
	b = object(b, p.root, e, func(b []byte, f *field, e *Event) []byte { return object(b, f.of, e, appendEvent) })
	return append(b, '}')
}

func appendEvent(b []byte, f *field, e *Event) []byte {
	switch f.kind {
	case eventPosition:
		return appendPosition(b, e.Epoch, e.User, e.Seq)
	case eventCounters:
		return object(b, f.of, &e.Counters, appendCounters)
	case eventReset:
		return appendOptional(b, string(e.Reset))
	case eventAdded:
		return list(b, f.of, e.Added, appendItem)
	case eventChanged:
		return list(b, f.of, e.Changed, appendItem)
	case eventRemoved:
		b = append(b, '[')
		for i, id := range e.Removed {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendItemID(b, id)
		}
		return append(b, ']')
	default: // eventMarked
		return list(b, f.of, e.Marked, func(b []byte, f *field, m *model.InboxMark) []byte {
			switch f.kind {
			case markAs:
				return appendText(b, string(m.As))
			case markUpTo:
				return appendPosition(b, e.Epoch, e.User, m.UpTo)
			default: // markAt
				return appendTime(b, m.At)
			}
		})
	}
}
