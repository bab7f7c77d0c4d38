package operation

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/vektah/gqlparser/v2/gqlerror"

	"carillon/graph/internal/jsonobject"
)

// MaxJSONDepth is how many levels of objects and lists a request may nest, its
// variables and the literals of its document included.
const MaxJSONDepth = 64

// Params is one request as its sender wrote it.
type Params struct {
	Query         string         // the document
	OperationName string         // which of its operations; may be empty when it has one
	Variables     map[string]any // as encoding/json decodes them with UseNumber
	// PersistedQuery is set when the extensions ask for a document by its hash.
	PersistedQuery bool

	// Simple marks a request that any web page can make a browser send without
	// asking first. It may do no more than one without a credential.
	Simple bool
	// IdempotencyKey is the header of that name. It counts for mutations with
	// one root field, whose resolver finds it by [IdempotencyKey].
	IdempotencyKey string
	// LastEventID is the header with which a stream resumes. The function that
	// opens the subscription finds it by [LastEventID].
	LastEventID string
}

// DecodeParams reads the JSON object of a request: an HTTP body, or the
// payload of a subscribe message. Members it does not know are left alone, as
// the specification asks. data must be valid UTF-8; what names it in errors
// ("the body"). The errors have the code BAD_USER_INPUT.
func DecodeParams(data []byte, what string) (Params, gqlerror.List) {
	var p Params
	var query bool
	err := jsonobject.Members(data, MaxJSONDepth, func(name string, value []byte) error {
		switch name {
		case "query":
			query = !jsonobject.IsNull(value)
			return text(name, value, &p.Query)
		case "operationName":
			return text(name, value, &p.OperationName)
		case "variables":
			return p.decodeVariables(value)
		case "extensions":
			return p.decodeExtensions(value)
		default:
			return nil
		}
	})
	if err == nil && !query && !p.PersistedQuery {
		err = fmt.Errorf("must have the member query, a string with the GraphQL document")
	}
	if err != nil {
		return Params{}, refuse(CodeBadUserInput, "%s %s", what, err)
	}
	return p, nil
}

// DecodeVariables reads variables that arrive by themselves, as in a URL: an
// object, null or nothing.
func (p *Params) DecodeVariables(data []byte) error {
	return decodeAlone(data, "variables", p.decodeVariables)
}

// DecodeExtensions reads extensions that arrive by themselves.
func (p *Params) DecodeExtensions(data []byte) error {
	return decodeAlone(data, "extensions", p.decodeExtensions)
}

func decodeAlone(data []byte, name string, decode func([]byte) error) error {
	data = bytes.TrimSpace(data)
	if len(data) == 0 {
		return nil
	}
	if !json.Valid(data) {
		return fmt.Errorf("has the parameter %s, which %w", name, jsonobject.ErrSyntax)
	}
	return decode(data)
}

func (p *Params) decodeVariables(value []byte) error {
	if jsonobject.IsNull(value) {
		return nil
	}
	if !jsonobject.IsObject(value) {
		return fmt.Errorf("must have an object or null as variables")
	}
	if jsonobject.Deeper(value, MaxJSONDepth) {
		return fmt.Errorf("has variables that nest more than %d levels", MaxJSONDepth)
	}
	d := json.NewDecoder(bytes.NewReader(value))
	d.UseNumber()
	if err := d.Decode(&p.Variables); err != nil {
		return fmt.Errorf("has variables that are not valid JSON")
	}
	return nil
}

func (p *Params) decodeExtensions(value []byte) error {
	if jsonobject.IsNull(value) {
		return nil
	}
	if !jsonobject.IsObject(value) {
		return fmt.Errorf("must have an object or null as extensions")
	}
	return jsonobject.Members(value, MaxJSONDepth, func(name string, value []byte) error {
		p.PersistedQuery = p.PersistedQuery || name == "persistedQuery" && !jsonobject.IsNull(value)
		return nil
	})
}

// text decodes a member that is a string or null.
func text(name string, value []byte, to *string) error {
	if jsonobject.IsNull(value) {
		return nil
	}
	s, ok := jsonobject.Text(value)
	if !ok {
		return fmt.Errorf("must have a string as %s", name)
	}
	*to = s
	return nil
}
