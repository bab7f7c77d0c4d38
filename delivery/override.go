package delivery

import (
	"context"
	"maps"
	"sync"

	"carillon/model"
)

// overridden is the message as the send wants it for a kind of provider. What is
// said of the kind beats what is said of the channel; else the later one wins.
func (m Message) overridden(list []model.Override, kind string) Message {
	for _, ofKind := range []bool{false, true} {
		for _, o := range list {
			if o.Meant(m.Channel, kind) && (o.Provider != "") == ofKind {
				m.override(o)
			}
		}
	}
	return m
}

func (m *Message) override(o model.Override) {
	for _, f := range []struct {
		into  *string
		value string
	}{{&m.Title, o.Title}, {&m.Text, o.Body}, {&m.HTML, o.HTML}, {&m.URL, o.URL}, {&m.Icon, o.Icon}} {
		if f.value != "" {
			*f.into = f.value
		}
	}
	if o.Body != "" && o.HTML == "" {
		m.HTML = "" // which would say what the body no longer says
	}
	if len(o.Headers) > 0 {
		headers := maps.Clone(m.Headers)
		if headers == nil {
			headers = map[string]string{}
		}
		maps.Copy(headers, o.Headers)
		m.Headers = headers
	}
	switch {
	case len(m.Overrides) == 0:
		m.Overrides = o.Merge
	case len(o.Merge) > 0:
		if both, err := JSON(m.Overrides, o.Merge); err == nil { // two objects, as validation says
			m.Overrides = both
		}
	}
}

// files are the attachments of the sends that a batch of deliveries is of, each
// read once and not before it is needed.
type files struct {
	mu   sync.Mutex
	read map[model.SendID][]model.Attachment
}

// attachments are the files that go with a delivery: e-mails have them.
func (x *surroundings) attachments(ctx context.Context, store Queue, c claimed) ([]model.Attachment, error) {
	if c.Channel != model.ChannelEmail {
		return nil, nil
	}
	x.files.mu.Lock()
	defer x.files.mu.Unlock()
	list, ok := x.files.read[c.SendID]
	if ok {
		return list, nil
	}
	ctx, cancel := context.WithTimeout(ctx, queueTime)
	defer cancel()
	list, err := store.Attachments(ctx, c.EnvID, c.SendID)
	if err != nil {
		return nil, err
	}
	if x.files.read == nil {
		x.files.read = map[model.SendID][]model.Attachment{}
	}
	x.files.read[c.SendID] = list
	return list, nil
}
