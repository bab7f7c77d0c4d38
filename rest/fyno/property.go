package fyno

import (
	"encoding/json"
	"maps"
	"math/big"
	"net/http"
	"slices"
	"strconv"
	"unicode/utf8"

	"carillon/model"
	"carillon/rest"
)

// operator is a way of changing custom properties.
type operator struct {
	member  string // that has the properties, such as "$set"
	creates bool   // a profile that is not there
	// apply gives what a property shall be, from what it is and what is given;
	// nil: it stays.
	apply func(now, given json.RawMessage) json.RawMessage
}

// operators by the last segment of their path.
var operators = map[string]operator{
	"set":           {"$set", true, func(_, given json.RawMessage) json.RawMessage { return distinct(given) }},
	"set-once":      {"$once", true, once},
	"numerical-add": {"$add", true, add},
	"list-append":   {"$append", true, appended},
	"list-remove":   {"$remove", false, removed},
	"unset":         {"$unset", false, func(_, _ json.RawMessage) json.RawMessage { return json.RawMessage("null") }},
}

func once(now, given json.RawMessage) json.RawMessage {
	if now != nil {
		return nil
	}
	return distinct(given)
}

// distinct is a value; of a list each value once.
func distinct(given json.RawMessage) json.RawMessage {
	list, ok := listOf(given)
	if !ok || len(list) == 0 {
		return given
	}
	var out []json.RawMessage
	for _, v := range list {
		if !contains(out, v) {
			out = append(out, v)
		}
	}
	return encoded(out)
}

// add adds numbers without loss.
func add(now, given json.RawMessage) json.RawMessage {
	sum, ok := number(given)
	if !ok {
		return nil
	}
	if now != nil {
		is, ok := number(now)
		if !ok {
			return nil
		}
		sum.Add(sum, is)
	}
	f, _ := sum.Float64()
	if sum.IsInt() && sum.Num().IsInt64() {
		return json.RawMessage(sum.Num().String())
	}
	raw, err := json.Marshal(f)
	if err != nil { // beyond what JSON can say
		return nil
	}
	return raw
}

func number(raw json.RawMessage) (*big.Rat, bool) {
	if model.PropertyTypeOf(raw) != model.PropertyNumber || len(raw) > 40 {
		return nil, false
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	if err != nil {
		return nil, false
	}
	if whole, is := new(big.Int).SetString(string(raw), 10); is {
		return new(big.Rat).SetInt(whole), true
	}
	out := new(big.Rat)
	return out, out.SetFloat64(f) != nil
}

// appended is a list with one value more, unless it has it.
func appended(now, given json.RawMessage) json.RawMessage {
	list, ok := listOf(now)
	switch {
	case !ok, !listable(given):
		return nil
	case contains(list, given):
		return nil
	}
	return encoded(append(list, given))
}

func removed(now, given json.RawMessage) json.RawMessage {
	list, ok := listOf(now)
	if !ok || !contains(list, given) {
		return nil
	}
	return encoded(slices.DeleteFunc(list, func(v json.RawMessage) bool { return string(v) == string(given) }))
}

func listOf(raw json.RawMessage) (list []json.RawMessage, ok bool) {
	return list, raw == nil || json.Unmarshal(raw, &list) == nil
}

func contains(list []json.RawMessage, value json.RawMessage) bool {
	return slices.ContainsFunc(list, func(v json.RawMessage) bool { return string(v) == string(value) })
}

func encoded(v any) json.RawMessage {
	raw, _ := model.EncodeJSON(v) // JSON that was read always encodes
	return raw
}

// maxText is how long a text may be, in characters.
const maxText = 255

func shortText(value json.RawMessage) bool {
	var text string
	return json.Unmarshal(value, &text) == nil && utf8.RuneCountInString(text) <= maxText
}

// listable reports whether a value may be in a list: text, numbers and dates may.
func listable(value json.RawMessage) bool {
	switch model.PropertyTypeOf(value) {
	case model.PropertyText:
		return shortText(value)
	case model.PropertyNumber:
		return string(value) != "null"
	case model.PropertyDate:
		return true
	default:
		return false
	}
}

// fits reports whether a value may be stored in a property of a type; empty: of
// none yet.
func fits(value json.RawMessage, is model.PropertyType) bool {
	t := model.PropertyTypeOf(value)
	switch t {
	case model.PropertyObject:
		return false
	case model.PropertyText:
		if !shortText(value) {
			return false
		}
	case model.PropertyList:
		if list, _ := listOf(value); slices.ContainsFunc(list, func(v json.RawMessage) bool { return !listable(v) }) {
			return false
		}
	default:
	}
	return is == "" || t == is || is == model.PropertyText && t == model.PropertyDate
}

// accepted is the answer to a change of properties.
type accepted struct {
	RequestID string              `json:"request_id"`
	Batch     []map[string]string `json:"batch,omitempty"`
}

// propertyChange is what is asked for one profile.
type propertyChange struct {
	id     string
	op     operator
	values map[string]json.RawMessage // by property
}

// changeProperties handles the path of one operator.
func (a *API) changeProperties(op operator) rest.Handler {
	return func(r *http.Request) (int, any, error) {
		c, err := a.begin(r, "patchProfile", rest.MaxBody)
		if err != nil {
			return 0, nil, err
		}
		c.body.Required("distinct_id")
		change := propertyChange{id: c.body.Text("distinct_id"), op: op, values: op.read(c.body)}
		if err := c.check.Err(); err != nil {
			return 0, nil, err
		}
		if err := c.changeProperties(c.once, change); err != nil {
			return 0, nil, err
		}
		return http.StatusAccepted, accepted{RequestID: a.ids.UUID()}, nil
	}
}

// read reads the properties of an operator, of which there must be one.
func (op operator) read(in rest.Members) map[string]json.RawMessage {
	out := map[string]json.RawMessage{}
	if op.member == "$unset" {
		for _, name := range in.Texts(op.member) {
			out[name] = nil
		}
	} else if raw := in.ObjectText(op.member); raw != nil {
		_ = json.Unmarshal(raw, &out) // an object, as ObjectText says
	}
	if len(out) == 0 {
		in.Check(op.member).Add(model.ProblemRequired, "must have at least one property")
	}
	return out
}

// maxBatch is how many profiles a batch changes.
const maxBatch = 1000

// batchProperties changes properties of several profiles, in their order.
func (a *API) batchProperties(r *http.Request) (int, any, error) {
	c, err := a.begin(r, "", rest.MaxBulkBody)
	if err != nil {
		return 0, nil, err
	}
	c.body.Required("batch")
	list := c.body.List("batch")
	c.check.That(len(list) <= maxBatch, "must have at most "+strconv.Itoa(maxBatch)+" items", "batch")
	var changes []propertyChange
	out := accepted{RequestID: a.ids.UUID(), Batch: make([]map[string]string, len(list))}
	for i, raw := range list {
		at := c.check.At("batch", strconv.Itoa(i))
		item := rest.Object(raw, at)
		item.Required("distinct_id", "action")
		id, action := item.Text("distinct_id"), item.Object("action")
		out.Batch[i] = map[string]string{}
		for _, path := range slices.Sorted(maps.Keys(operators)) {
			if op := operators[path]; action.Has(op.member) {
				changes = append(changes, propertyChange{id, op, op.read(action)})
				out.Batch[i][op.member] = "ok"
			}
		}
		at.That(!item.Has("action") || len(out.Batch[i]) > 0, "must have one of $set, $once, $add, $append, $remove and $unset", "action")
	}
	if err := c.check.Err(); err != nil {
		return 0, nil, err
	}
	for _, change := range changes {
		if err := c.changeProperties(model.Once{}, change); err != nil {
			return 0, nil, err
		}
	}
	return http.StatusAccepted, out, nil
}

// changeProperties changes the properties of one profile. A value of the wrong
// type, or that no profile takes, is not stored, and nobody is told: so it is
// with Fyno.
func (c *call) changeProperties(once model.Once, p propertyChange) error {
	if m := model.CheckIdentifier(p.id); m != "" {
		return &model.Error{Kind: model.KindInvalid, Message: "invalid input", Problems: []model.Problem{{Code: model.ProblemInvalid, Path: []string{"distinct_id"}, Message: m}}}
	}
	known, err := c.Users.Properties(c.ctx(), c.env)
	if err != nil {
		return err
	}
	types := map[string]model.PropertyType{}
	for _, property := range known {
		types[property.Name] = property.Type
	}
	ch := model.UserChange{Identifier: p.id, MustExist: !p.op.creates}
	ch.Merge = c.merging(p.id, func(now map[string]json.RawMessage) map[string]json.RawMessage {
		out := map[string]json.RawMessage{}
		for name, given := range p.values {
			value := p.op.apply(now[name], given)
			gone := p.op.member == "$unset" && now[name] != nil
			if value == nil || slices.Contains(notProperties, name) || !gone && (string(value) == "null" || !fits(value, types[name])) {
				continue
			}
			one, err := model.EncodeJSON(map[string]json.RawMessage{name: value})
			if err != nil {
				continue
			}
			if _, problems := c.Users.Merge(p.id, one); len(problems) == 0 {
				out[name] = value
			}
		}
		return out
	})
	_, err = c.Users.Change(c.ctx(), c.env, once, ch)
	if model.KindOf(err) == model.KindNotFound {
		return nil // accepted, and ignored
	}
	return worded(err)
}
