package graph

import "strconv"

// value is what p points to; nil is the zero value, which in the model's
// inputs means not given.
func value[T any](p *T) T {
	if p == nil {
		var none T
		return none
	}
	return *p
}

func ptr[T any](v T) *T { return &v }

// indexed is the step of a path to an element of a list.
func indexed(i int) string { return strconv.Itoa(i) }
