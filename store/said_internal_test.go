package store

import (
	"strings"
	"testing"

	"carillon/model"
)

// TestSaidStaysWithinItsRoom fills it many times over.
func TestSaidStaysWithinItsRoom(t *testing.T) {
	t.Parallel()
	var m said
	body := strings.Repeat("x", 8<<10)
	for i := range 3 * saidRoom / len(body) {
		m.put(map[sendKey]*model.Content{{env: 1, id: model.SendID(i)}: {Title: "t", Body: body}})
	}
	m.put(map[sendKey]*model.Content{{env: 2, id: 1}: {Title: "t", Body: strings.Repeat("x", saidMost)}})
	held := 0
	for key, c := range m.byKey {
		if held += weight(c); key.env == 2 {
			t.Error("a very large content is remembered")
		}
	}
	if held != m.bytes || held > saidRoom || held < saidRoom/2 {
		t.Errorf("holds %d bytes and counts %d, of %d", held, m.bytes, saidRoom)
	}
}
