package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// WatchProgress subscribes to where a send stands, and hands over each event.
// It returns nil when the server says that there is no more to tell.
func (c *Client) WatchProgress(ctx context.Context, id string, each func(Progress) error) error {
	s, err := c.Dial(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	stop := context.AfterFunc(ctx, s.Cut)
	defer stop()
	op, err := s.subscribe(`subscription ($id: ID!) { sendProgress(id: $id) { `+progressFields+` } }`, map[string]any{"id": id})
	if err != nil {
		return err
	}
	for {
		m, err := s.hear()
		switch {
		case errors.Is(err, io.EOF):
			return io.ErrUnexpectedEOF // the server has gone, and said nothing of an end
		case err != nil:
			return err
		case m.ID != op || m.Type != "next" && m.Type != "complete":
			return fmt.Errorf("a message %s came: %s", m.Type, m.Payload)
		case m.Type == "complete":
			return nil
		}
		data, err := dataOf(http.StatusOK, m.Payload)
		if err != nil {
			return err
		}
		var out struct{ SendProgress sendNode }
		if err := json.Unmarshal(data, &out); err != nil {
			return fmt.Errorf("reading progress: %w", err)
		}
		if err := each(out.SendProgress.progress()); err != nil {
			return err
		}
	}
}
