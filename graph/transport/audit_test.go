package transport_test

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// TestAudit asks what the official audit of GraphQL over HTTP asks, npm
// graphql-http 1.23.1, point by point; the names are its ids. It sends no
// credential, as the audit does.
func TestAudit(t *testing.T) {
	t.Parallel()
	s := serve(t)
	const (
		asGraphQL = "Accept: application/graphql-response+json"
		asJSON    = "Accept: application/json"
		typename  = `{"query":"{ __typename }"}`
		syntax    = `{"query":"{"}`
		unknown   = `{"query":"{ 8f31403dfe404bccbb0e835f2629c6a7 }"}`
		coerce    = `{"query":"query CoerceFailure($id: ID!){ __typename }","variables":{"id":null}}`
		typeQuery = `query Type($name: String!) { __type(name: $name) { name } }`
		typeBody  = `{"query":"` + typeQuery + `","variables":{"name":"sometype"}}`
		named     = `{"operationName":"Query","query":"query Query { __typename }"}`
	)
	typeURL := get("query", typeQuery, "variables", `{"name":"sometype"}`)
	type point struct {
		ids      string
		in       request
		status   int
		media    string // in Content-Type; empty: any
		noErrors bool
		noData   bool
	}
	points := []point{
		{"22EB", request{body: typename, headers: []string{asGraphQL}}, 200, "application/graphql-response+json", false, false},
		{"4655", request{body: typename, headers: []string{asJSON}}, 200, "application/json", false, false},
		{"47DE", request{body: typename, headers: []string{"Accept: */*"}}, 200, "application/json", false, false},
		{"80D8 82A3 78D5 2C94 03D4", request{body: typename}, 200, "application/json", false, false},
		{"BF61", request{body: `{"query":"{ __type(name: \"Run🏃Swim🏊\") { name } }"}`, headers: []string{"Content-Type: application/json; charset=utf-8"}}, 200, "", false, false},
		{"5A70", request{method: "GET", query: get("query", "{ __typename }")}, 200, "", false, false},
		{"9C48", request{method: "GET", query: get("query", "mutation { __typename }"), headers: []string{asGraphQL}}, 405, "", false, true},
		{"9ABE", request{body: typename, headers: []string{"Content-Type: text/plain;charset=UTF-8"}}, 415, "", false, true},
		{"A5BF", request{}, 400, "", false, true},
		{"423L", request{body: `{"notquery":"{ __typename }"}`, headers: []string{asGraphQL}}, 400, "", false, true},
		{"34A2", request{body: typename, headers: []string{asGraphQL}}, 200, "", true, false},
		{"13EE", request{body: typename, headers: []string{asJSON}}, 200, "", true, false},
		{"8161", request{body: named, headers: []string{asGraphQL}}, 200, "", true, false},
		{"B8B3", request{body: named, headers: []string{asJSON}}, 200, "", true, false},
		{"2EA1", request{body: typeBody, headers: []string{asGraphQL}}, 200, "", true, false},
		{"28B9", request{body: typeBody, headers: []string{asJSON}}, 200, "", true, false},
		{"D6D5", request{method: "GET", query: typeURL, headers: []string{asGraphQL}}, 200, "", true, false},
		{"6A70", request{method: "GET", query: typeURL, headers: []string{asJSON}}, 200, "", true, false},
		{"428F", request{body: `{"query":"{ __typename }","extensions":{"some":"value"}}`, headers: []string{asGraphQL}}, 200, "", true, false},
		{"1B7A", request{body: `{"query":"{ __typename }","extensions":{"some":"value"}}`, headers: []string{asJSON}}, 200, "", true, false},
		{"B6DC BCF8", request{body: `{ "not a JSON`, headers: []string{asJSON}}, 400, "", false, true},
		{"B7N8", request{body: `{ "not a JSON`, headers: []string{asGraphQL}}, 400, "", false, true},
		{"8764 3E3A", request{body: `{"qeury":"{ __typename }"}`}, 400, "", false, true},
		{"572B", request{body: syntax, headers: []string{asJSON}}, 200, "", false, true},
		{"FDE2", request{body: unknown, headers: []string{asJSON}}, 200, "", false, true},
		{"7B9B", request{body: coerce, headers: []string{asJSON}}, 200, "", false, true},
		{"865D 556A D586", request{body: syntax, headers: []string{asGraphQL}}, 400, "", false, true},
		{"51FE 74FF 5E5B", request{body: unknown, headers: []string{asGraphQL}}, 400, "", false, true},
		{"86EE", request{body: coerce, headers: []string{asGraphQL}}, 400, "", false, true},
	}
	wrong := map[string][]string{ // in place of text, and of an object
		"query": {`{"an":"object"}`, `0`, `false`, `["array"]`}, "operationName": {`{"an":"object"}`, `0`, `false`, `["array"]`},
		"variables": {`"string"`, `0`, `false`, `["array"]`}, "extensions": {`"string"`, `0`, `false`, `["array"]`},
	}
	for i, member := range []string{"query", "operationName", "variables", "extensions"} {
		for j, value := range wrong[member] {
			body := `{"query":"{ __typename }","` + member + `":` + value + `}`
			if member == "query" {
				body = `{"query":` + value + `}`
			}
			id := []string{"LKJ", "6C0", "476", "58B"}[i] + string(rune('0'+j))
			points = append(points, point{id, request{body: body}, 400, "", false, true})
		}
	}
	for i, member := range []string{"variables", "operationName", "extensions"} {
		body := `{"query":"{ __typename }","` + member + `":null}`
		points = append(points,
			point{"94B" + string(rune('0'+i)), request{body: body, headers: []string{asGraphQL}}, 200, "", true, false},
			point{"022" + string(rune('0'+i)), request{body: body, headers: []string{asJSON}}, 200, "", true, false})
	}
	ids := 0
	for _, p := range points {
		ids += len(strings.Fields(p.ids))
		t.Run(p.ids, func(t *testing.T) {
			t.Parallel()
			p.in.headers = append(p.in.headers, "Authorization: -")
			resp, body := s.send(t, p.in)
			if resp.StatusCode != p.status {
				t.Errorf("status %d, want %d: %s", resp.StatusCode, p.status, body)
			}
			if got := resp.Header.Get("Content-Type"); !strings.HasPrefix(got, p.media) {
				t.Errorf("Content-Type %q, want %q", got, p.media)
			}
			if p.noErrors && strings.Contains(body, `"errors"`) {
				t.Errorf("errors: %s", body)
			}
			if p.noData && strings.Contains(body, `"data"`) {
				t.Errorf("data: %s", body)
			}
			if !utf8.ValidString(body) {
				t.Errorf("not UTF-8: %q", body)
			}
		})
	}
	if ids != 61 {
		t.Errorf("%d points are asked, the audit has 61", ids)
	}
}
