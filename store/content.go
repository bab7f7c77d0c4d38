package store

import (
	"encoding/json"
	"fmt"

	"carillon/model"
)

// encodeContent gives what the sends table keeps of a content: its title, and
// the rest as JSON.
func encodeContent(c model.Content) (title, rest string, err error) {
	title, c.Title = c.Title, ""
	b, err := json.Marshal(c)
	if err != nil {
		return "", "", fmt.Errorf("encoding content: %w", err)
	}
	return title, string(b), nil
}

// decodeContent is the inverse of encodeContent.
func decodeContent(title, rest string) (*model.Content, error) {
	c := new(model.Content)
	if err := json.Unmarshal([]byte(rest), c); err != nil {
		return nil, fmt.Errorf("decoding content: %w", err)
	}
	c.Title = title
	return c, nil
}
