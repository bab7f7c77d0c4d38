package graph

import (
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"carillon/graph/generated"
	"carillon/graph/plan"
	"carillon/model"
)

func newPlan(t *testing.T) *plan.Plan {
	t.Helper()
	doc, err := gqlparser.LoadQueryWithRules(generated.NewExecutableSchema(generated.Config{}).Schema(), `{ viewer { user { inbox { position } } } }`, rules.NewDefaultRules())
	if err != nil {
		t.Fatal(err)
	}
	return plan.Compile(doc.Operations[0])
}

// TestAnswersStayWithinTheirBytes fills the memory many times over, with many
// users of one plan and with many plans.
func TestAnswersStayWithinTheirBytes(t *testing.T) {
	t.Parallel()
	const room = 64 << 10
	a, everyones := newAnswers(room), newPlan(t)
	data := []byte(strings.Repeat("x", 500))
	for i := range 1000 {
		a.put(everyones, answerKey{user: model.UserID(i)}, data, 1)
		a.put(newPlan(t), answerKey{}, data, 1)
	}
	counted := 0
	for p, shelf := range a.shelves {
		counted += p.Size()
		for _, v := range shelf {
			counted += len(v.data) + answerWeight
		}
		if len(shelf) == 0 {
			t.Error("a plan without answers is kept")
		}
	}
	if a.bytes != counted || counted > room || counted < room/2 {
		t.Errorf("holds %d bytes and counts %d, of %d", counted, a.bytes, room)
	}
}

func TestAnswersKeepTheLatest(t *testing.T) {
	t.Parallel()
	a, p, key := newAnswers(64<<10), newPlan(t), answerKey{env: 1, user: 2, first: 20}
	if _, seq := a.get(p, key); seq != model.NoSeq {
		t.Errorf("nothing is at %d", seq)
	}
	a.put(p, key, []byte("second"), 2)
	a.put(p, key, []byte("first"), 1) // by a request that was slower
	if data, seq := a.get(p, key); string(data) != "second" || seq != 2 {
		t.Errorf("got %s at %d", data, seq)
	}
	for _, other := range []answerKey{{env: 2, user: 2, first: 20}, {env: 1, user: 3, first: 20}, {env: 1, user: 2, first: 19}} {
		if data, _ := a.get(p, other); data != nil {
			t.Errorf("%+v got another's answer", other)
		}
	}
	a.put(p, answerKey{user: 9}, make([]byte, 60<<10), 1)
	if data, _ := a.get(p, answerKey{user: 9}); data != nil {
		t.Error("an answer that would drive out nearly all others was kept")
	}
}
