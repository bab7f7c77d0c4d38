package model_test

import (
	"fmt"
	"testing"

	"carillon/model"
)

func TestContentChange(t *testing.T) {
	t.Parallel()
	text := func(s string) *string { return &s }
	ofTemplate := model.Content{Title: "Order 1", Body: "Soon.", Data: []byte(`{"n":1}`), Blocks: []model.Block{{ID: "1", Type: "BUTTON", Variant: "DEFAULT"}}}
	rendered := &model.Content{Title: "Order 2"}
	personal := model.Content{Title: "Order 1", Body: "Dear ,", Personal: model.TextTitle | model.TextBody}
	own := ofTemplate
	own.Own = true
	for _, tt := range []struct {
		name    string
		from    model.Content
		change  model.ContentChange
		want    string
		changed bool
	}{
		{"Title", ofTemplate, model.ContentChange{Title: text("T")}, `T/Soon./{"n":1}/1/true`, true},
		{"BodyAway", ofTemplate, model.ContentChange{Body: text("")}, `Order 1//{"n":1}/1/true`, true},
		{"BlocksAway", ofTemplate, model.ContentChange{Blocks: []model.Block{}}, `Order 1/Soon./{"n":1}/0/false`, true},
		{"Rendered", ofTemplate, model.ContentChange{Data: []byte(`{"n":2}`), Rendered: rendered}, `Order 2//{"n":2}/1/false`, true},
		{"RenderedTooLate", own, model.ContentChange{Data: []byte(`{"n":2}`), Rendered: rendered}, `Order 1/Soon./{"n":2}/1/true`, true},
		{"TheSame", own, model.ContentChange{Title: text("Order 1"), Data: []byte(`{"n":1}`)}, `Order 1/Soon./{"n":1}/1/true`, false},
		{"TheSameForAll", personal, model.ContentChange{Title: text("Order 1")}, `Order 1/Dear ,//0/true 2`, true},
		{"PersonalNow", ofTemplate, model.ContentChange{Data: []byte(`{"n":2}`), Rendered: &personal}, `Order 1/Dear ,/{"n":2}/1/false 3`, true},
		{"PersonalNoMore", personal, model.ContentChange{Data: []byte(`{}`), Rendered: rendered}, `Order 2//{}/0/false`, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			change, err := tt.change.Checked()
			if err != nil {
				t.Fatal(err)
			}
			c := tt.from
			changed := change.Apply(&c)
			got := fmt.Sprintf("%s/%s/%s/%d/%t", c.Title, c.Body, c.Data, len(c.Blocks), c.Own)
			if c.Personal != 0 {
				got += fmt.Sprintf(" %d", c.Personal)
			}
			if got != tt.want || changed != tt.changed {
				t.Errorf("it says %s, changed %t; want %s, %t", got, changed, tt.want, tt.changed)
			}
		})
	}
	for name, bad := range map[string]model.ContentChange{
		"Nothing": {}, "NoTitle": {Title: text(" ")}, "Script": {URL: text("javascript:x")}, "List": {Data: []byte(`[1]`)},
		"Block": {Blocks: []model.Block{{Type: "BOMB"}}}, "NUL": {Body: text("\x00")},
	} {
		if _, err := bad.Checked(); model.KindOf(err) != model.KindInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}
