package delivery

import (
	"fmt"
	"strings"
)

func between(low, high int64) string { return fmt.Sprintf("between %d and %d", low, high) }

func list(words []string) string { return strings.Join(words, ", ") }

func hasLineBreak(s string) bool { return strings.ContainsAny(s, "\r\n") }

// cutText is the beginning of s, at most max bytes, without half a character at
// its end and without what a database would not take.
func cutText(s string, max int) string {
	s = strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "?")
	if len(s) > max {
		s = strings.ToValidUTF8(s[:max], "")
	}
	return s
}
