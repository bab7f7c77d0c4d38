package store

import (
	"testing"

	"carillon/model"
)

func TestStoredAnswersAreSearchedWhole(t *testing.T) {
	t.Parallel()
	names := newNaming(4711, []string{"ada-lovelace", "7", "Zo\"e", "<ada>"})
	for _, tt := range []struct {
		result string
		want   bool
	}{
		{`{"ID":4711}`, true},
		{`{"ID":47110,"At":"2026-01-01T00:00:00.4711Z"}`, false},
		{`{"Note":"for ada-lovelace, too"}`, true},
		{`{"ada-lovelace":1}`, true},
		{`{"A":{"B":["7"]}}`, true},
		{`{"A":"17","B":7}`, false},
		{`{"A":"Zo\"e"}`, true},
		{`{"A":"\u0061da-lovelace"}`, true},
		{`{"A":"\u003cada\u003e"}`, true},
		{`{"A":"<ada>"}`, true},
		{`{"A":"bob\n"}`, false},
		{`{}`, false},
	} {
		if got := names.inJSON(tt.result); got != tt.want {
			t.Errorf("%s names the user: %v, want %v", tt.result, got, tt.want)
		}
	}
}

func TestSendOfAnswer(t *testing.T) {
	t.Parallel()
	sent, err := encodeResult(model.SendResult{Send: &model.Send{ID: 12, RequestID: "r"}, Skipped: []model.Skipped{{Identifier: "bob"}}})
	if err != nil {
		t.Fatal(err)
	}
	canceled, err := model.EncodeJSON(model.Send{ID: 13, RequestID: "r"})
	if err != nil {
		t.Fatal(err)
	}
	for result, want := range map[string]model.SendID{sent: 12, string(canceled): 13, `{"Plan":null,"Send":{"EnvID":1,"ID":14}}`: 14, `{"ID":15}`: 0, `"text"`: 0, `{"Send":null}`: 0} {
		if got := sendOfAnswer(result); got != want {
			t.Errorf("the send of %s is %d, want %d", result, got, want)
		}
	}
}

// BenchmarkAnswerOfASend is what an erasure does with an answer that is about
// somebody else.
func BenchmarkAnswerOfASend(b *testing.B) {
	result, err := encodeResult(model.SendResult{Send: &model.Send{ID: 12, RequestID: "7d444840-9dc0-11d1-b245-5ffdce74fad2", Status: model.SendSent}})
	if err != nil {
		b.Fatal(err)
	}
	names := newNaming(4711471147, []string{"ada-lovelace", "ada@example.com", "+15551230001"})
	b.ReportAllocs()
	for b.Loop() {
		if names.inKey("7d444840-9dc0-11d1-b245-5ffdce74fad2") || names.inJSON(result) || sendOfAnswer(result) != 12 {
			b.Fatal("it is about somebody else")
		}
	}
}
