package delivery

import (
	"bytes"
	"encoding/json"

	"carillon/model"
)

// JSON encodes v, an object of a provider's protocol, with the members of
// overrides (an object, or nil) merged into it: objects member by member, all else
// replaced. The error is an *[Error].
func JSON(v any, overrides json.RawMessage) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, &Error{Class: model.ClassPermanent, Message: "the message cannot be written as JSON", Err: err}
	}
	if len(overrides) == 0 || string(overrides) == "null" {
		return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
	}
	var object, over map[string]any
	if err := decodeNumbers(b.Bytes(), &object); err != nil {
		return nil, &Error{Class: model.ClassPermanent, Message: "the message is no JSON object", Err: err}
	}
	if err := decodeNumbers(overrides, &over); err != nil {
		return nil, &Error{Class: model.ClassPermanent, Message: "the overrides are no JSON object", Err: err}
	}
	merge(object, over)
	return JSON(object, nil)
}

// decodeNumbers decodes without rounding numbers.
func decodeNumbers(b []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	return dec.Decode(into)
}

func merge(into, from map[string]any) {
	for name, value := range from {
		inner, ok := into[name].(map[string]any)
		if over, also := value.(map[string]any); ok && also {
			merge(inner, over)
			continue
		}
		into[name] = value
	}
}
