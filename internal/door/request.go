package door

import "bytes"

// Request is what a [Keeper] is told of a request. What it holds is good until the
// Keeper returns.
type Request struct {
	Method        []byte
	Target        []byte // as it was sent: the path and the query
	Authorization []byte // of the one such header; empty: there is none
	Accept        []byte // of the one such header; empty: there is none

	// Length is the size of the body in bytes.
	Length int
	// Closes says that the client uses the connection for no other request.
	Closes bool
}

var (
	http11  = []byte(" HTTP/1.1")
	http10  = []byte(" HTTP/1.0")
	headEnd = []byte("\r\n\r\n")
)

// parse reads the head of a request at the beginning of b, and says how long the
// whole request is. It takes only what no two readers could understand
// differently.
func parse(b []byte) (r Request, size int, ok bool) {
	end := bytes.Index(b, headEnd)
	if end < 0 {
		return r, 0, false
	}
	line, rest := cutLine(b[:end+2])
	switch {
	case bytes.HasSuffix(line, http11):
	case bytes.HasSuffix(line, http10):
		r.Closes = true
	default:
		return r, 0, false
	}
	r.Method, r.Target, ok = bytes.Cut(line[:len(line)-len(http11)], []byte(" "))
	if !ok || !word(r.Method) || !printable(r.Target, '!') {
		return r, 0, false
	}
	told := false
	for len(rest) > 0 {
		line, rest = cutLine(rest)
		if !r.header(line, &told) {
			return r, 0, false
		}
	}
	return r, end + len(headEnd) + r.Length, true
}

// cutLine cuts a line off, without what ends it. A line that ends otherwise than
// with CR and LF has no colon.
func cutLine(b []byte) (line, rest []byte) {
	i := bytes.IndexByte(b, '\n')
	if i < 1 || b[i-1] != '\r' {
		return nil, nil
	}
	return b[:i-1], b[i+1:]
}

// header takes note of a header; false says that it is not plain where the request
// ends, or what it is.
func (r *Request) header(line []byte, told *bool) (ok bool) {
	colon := bytes.IndexByte(line, ':')
	if colon < 1 {
		return false
	}
	name, value := line[:colon], bytes.Trim(line[colon+1:], " \t")
	if !printable(name, '!') || !printable(value, '\t') {
		return false
	}
	switch {
	case is(name, "authorization"):
		return once(&r.Authorization, value)
	case is(name, "accept"):
		return once(&r.Accept, value)
	case is(name, "content-length"):
		r.Length, ok = number(value)
		ok = ok && !*told
		*told = true
		return ok
	case is(name, "connection"):
		switch {
		case is(value, "close"):
			r.Closes = true
		case !is(value, "keep-alive"):
			return false
		}
	case is(name, "transfer-encoding"), is(name, "upgrade"), is(name, "expect"), is(name, "trailer"):
		return false
	}
	return true
}

// word reports whether there are upper-case letters only, as in methods.
func word(b []byte) bool {
	for _, letter := range b {
		if letter < 'A' || letter > 'Z' {
			return false
		}
	}
	return len(b) > 0
}

// printable reports whether there are no control characters, for which some readers
// see a line end: only a tab where from is one, and no spaces where from is beyond.
func printable(b []byte, from byte) bool {
	for _, c := range b {
		if c < from || c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// is compares with a word in lower case.
func is(b []byte, word string) bool {
	return len(b) == len(word) && bytes.EqualFold(b, []byte(word))
}

// once notes what may be said once.
func once(is *[]byte, value []byte) bool {
	was := *is
	*is = value
	return len(was) == 0 && len(value) > 0
}

// number reads the length of a body of less than a gigabyte.
func number(b []byte) (n int, ok bool) {
	if len(b) == 0 || len(b) > 9 {
		return 0, false
	}
	for _, digit := range b {
		if digit < '0' || digit > '9' {
			return 0, false
		}
		n = 10*n + int(digit-'0')
	}
	return n, true
}
