package user

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"carillon/model"
)

// maxCopied bounds what the copy operations of one patch add to a profile, in
// bytes: each could double it.
const maxCopied = model.MaxProfile

var (
	errNothing   = errors.New("points at nothing")
	errTooCopied = fmt.Errorf("must not copy more than %d bytes in one patch", maxCopied)
)

// applyOperations carries out a JSON patch on a document that it may write to.
// An operation that cannot be carried out is a problem at its number and ends
// it; a test that fails is a KindConflict error.
func applyOperations(doc any, ops []operation, c *model.Check) (any, error) {
	var copied int
	for i, o := range ops {
		at := c.At(strconv.Itoa(i))
		next, err := o.apply(doc, &copied)
		switch {
		case errors.Is(err, errTestFailed):
			at.Add(model.ProblemConflict, err.Error())
			return nil, &model.Error{Kind: model.KindConflict, Message: "a test of the patch failed", Problems: c.Problems()}
		case errors.Is(err, errTooCopied):
			at.Add(model.ProblemLimit, err.Error())
			return nil, nil
		case err != nil:
			e := new(pointerError)
			if errors.As(err, &e) {
				at = at.At(e.member)
			}
			at.Add(model.ProblemInvalid, err.Error())
			return nil, nil
		}
		doc = next
	}
	return doc, nil
}

var errTestFailed = errors.New("failed: the value is another")

// pointerError says which pointer of an operation did not fit the document.
type pointerError struct {
	member string // "path" or "from"
	err    error
}

func (e *pointerError) Error() string { return e.err.Error() }

func at(member string, err error) error {
	if err == nil {
		return nil
	}
	return &pointerError{member, err}
}

func (o operation) apply(doc any, copied *int) (any, error) {
	var given any
	if o.value != nil { // decoded anew each time: later operations may write into it
		var err error
		if given, err = model.DecodeJSON(o.value); err != nil {
			return nil, err
		}
	}
	switch o.op {
	case "add":
		return o.add(doc, given)
	case "remove":
		next, err := edit(doc, o.path, remove)
		return next, at("path", err)
	case "replace":
		next, err := edit(doc, o.path, replaceBy(given))
		return next, at("path", err)
	case "move":
		value, err := find(doc, o.from)
		if err != nil {
			return nil, at("from", err)
		}
		if doc, err = edit(doc, o.from, remove); err != nil {
			return nil, at("from", err)
		}
		return o.add(doc, value)
	case "copy":
		value, err := find(doc, o.from)
		if err != nil {
			return nil, at("from", err)
		}
		if value, err = clone(value, copied); err != nil {
			return nil, err
		}
		return o.add(doc, value)
	default: // test
		value, err := find(doc, o.path)
		if err != nil || !equal(value, given) {
			return nil, errTestFailed
		}
		return doc, nil
	}
}

func (o operation) add(doc, value any) (any, error) {
	next, err := edit(doc, o.path, insert(value))
	return next, at("path", err)
}

// clone copies a value and counts its bytes.
func clone(value any, copied *int) (any, error) {
	raw, err := model.EncodeJSON(value)
	if err != nil {
		return nil, err
	}
	if *copied += len(raw); *copied > maxCopied {
		return nil, errTooCopied
	}
	// Copies of copies nest; what the decoder finds too deep, no profile may be.
	v, err := model.DecodeJSON(raw)
	if err != nil {
		return nil, errors.New("must not nest copies within copies so deep")
	}
	return v, nil
}

// find returns what a pointer points to.
func find(node any, pointer []string) (any, error) {
	for _, token := range pointer {
		child, err := member(node, token)
		if err != nil {
			return nil, err
		}
		node = child
	}
	return node, nil
}

func member(node any, token string) (any, error) {
	switch n := node.(type) {
	case map[string]any:
		if v, ok := n[token]; ok {
			return v, nil
		}
	case []any:
		i, err := index(token, len(n)-1)
		if err != nil {
			return nil, err
		}
		return n[i], nil
	}
	return nil, errNothing
}

// edit walks to the parent of what the pointer, which is not empty, points to,
// and puts what change makes of it in its place.
func edit(node any, pointer []string, change func(parent any, token string) (any, error)) (any, error) {
	if len(pointer) == 1 {
		return change(node, pointer[0])
	}
	child, err := member(node, pointer[0])
	if err != nil {
		return nil, err
	}
	if child, err = edit(child, pointer[1:], change); err != nil {
		return nil, err
	}
	return replaceBy(child)(node, pointer[0])
}

func remove(parent any, token string) (any, error) {
	if _, err := member(parent, token); err != nil {
		return nil, err
	}
	switch n := parent.(type) {
	case map[string]any:
		delete(n, token)
	case []any:
		i, _ := strconv.Atoi(token)
		return slices.Delete(n, i, i+1), nil
	}
	return parent, nil
}

func replaceBy(value any) func(any, string) (any, error) {
	return func(parent any, token string) (any, error) {
		if _, err := member(parent, token); err != nil {
			return nil, err
		}
		switch n := parent.(type) {
		case map[string]any:
			n[token] = value
		case []any:
			i, _ := strconv.Atoi(token)
			n[i] = value
		}
		return parent, nil
	}
}

// insert is the add operation: it sets a member of an object, or puts an
// element before the one at the index; "-" is the end of a list.
func insert(value any) func(any, string) (any, error) {
	return func(parent any, token string) (any, error) {
		switch n := parent.(type) {
		case map[string]any:
			n[token] = value
			return n, nil
		case []any:
			if token == "-" {
				return append(n, value), nil
			}
			i, err := index(token, len(n))
			if err != nil {
				return nil, err
			}
			return slices.Insert(n, i, value), nil
		default:
			return nil, errNothing
		}
	}
}

// index reads the index of a list's element: digits without leading zeros.
func index(token string, last int) (int, error) {
	i, err := strconv.Atoi(token)
	switch {
	case err != nil, token != strconv.Itoa(i), i < 0:
		return 0, fmt.Errorf("must have a number where a list is, has %q", token)
	case i > last:
		return 0, errNothing
	}
	return i, nil
}

// equal compares as RFC 6902 says: numbers by value, texts by code points,
// lists in order, objects without order.
func equal(a, b any) bool {
	switch a := a.(type) {
	case json.Number:
		n, ok := b.(json.Number)
		return ok && equalNumbers(string(a), string(n))
	case map[string]any:
		m, ok := b.(map[string]any)
		return ok && maps.EqualFunc(a, m, equal)
	case []any:
		l, ok := b.([]any)
		return ok && slices.EqualFunc(a, l, equal)
	default:
		return a == b
	}
}

// equalNumbers compares numbers as they were written by value, without
// writing out what 1e999999999 would be.
func equalNumbers(a, b string) bool {
	if a == b {
		return true
	}
	digitsA, exponentA := scientific(a)
	digitsB, exponentB := scientific(b)
	return digitsA == digitsB && (digitsA == "" || exponentA.Cmp(exponentB) == 0)
}

// scientific takes a number of JSON apart: its digits with the sign, without
// zeros at either end, and the exponent that then makes its value; of zero the
// digits are "".
func scientific(n string) (digits string, exponent *big.Int) {
	mantissa, power, _ := strings.Cut(strings.ToLower(n), "e")
	exponent, ok := new(big.Int).SetString(strings.TrimPrefix(power, "+"), 10)
	if !ok {
		exponent = new(big.Int)
	}
	sign := ""
	if rest, negative := strings.CutPrefix(mantissa, "-"); negative {
		sign, mantissa = "-", rest
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits = strings.TrimLeft(whole+fraction, "0")
	exponent.Sub(exponent, big.NewInt(int64(len(fraction))))
	trimmed := strings.TrimRight(digits, "0")
	exponent.Add(exponent, big.NewInt(int64(len(digits)-len(trimmed))))
	if trimmed == "" {
		return "", exponent
	}
	return sign + trimmed, exponent
}
