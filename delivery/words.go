package delivery

import (
	"fmt"
	"strings"
)

func between(low, high int64) string { return fmt.Sprintf("between %d and %d", low, high) }

func list(words []string) string { return strings.Join(words, ", ") }

func hasLineBreak(s string) bool { return strings.ContainsAny(s, "\r\n") }
