package operation_test

import (
	"encoding/json"
	"testing"

	"carillon/graph/internal/testschema"
	"carillon/graph/operation"
)

// BenchmarkPrepare measures the way to an operation: with a document that is
// known, with a known one whose cost depends on a variable, and with a new one.
func BenchmarkPrepare(b *testing.B) {
	const page = `($n: Int) { users(first: $n) { total nodes { id name ...F } } } fragment F on User { devices { id } boss { name } }`
	fixed := operation.Params{Query: `{ users(first: 20) { total nodes { id name ...F } } } fragment F on User { devices { id } boss { name } }`}
	varied := operation.Params{Query: "query" + page, Variables: map[string]any{"n": json.Number("20")}}
	forgetful := func(c *operation.Config) { c.CacheDocument = 1 }
	for _, bench := range []struct {
		name string
		e    *operation.Engine
		p    operation.Params
	}{
		{"Known", engine(), fixed},
		{"KnownWithVariable", engine(), varied},
		{"New", engine(forgetful), varied},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, errs := bench.e.Prepare(b.Context(), bench.p); errs != nil {
					b.Fatal(errs)
				}
			}
		})
	}
}

// BenchmarkEvent measures one event of a subscription, executed for one
// subscriber.
func BenchmarkEvent(b *testing.B) {
	var feed testschema.Feed
	e := engine(func(c *operation.Config) { c.Subscriptions = feed.Opens() })
	o, errs := e.Prepare(b.Context(), operation.Params{Query: `subscription { counter { n text } }`})
	if errs != nil {
		b.Fatal(errs)
	}
	s, errs := e.Subscribe(b.Context(), o, func() {})
	if errs != nil {
		b.Fatal(errs)
	}
	b.ReportAllocs()
	for b.Loop() {
		feed.Advance(1)
		if _, _, ok, err := s.Next(b.Context()); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}
