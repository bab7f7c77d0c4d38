package store

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// table turns columns, each an []int64 or a []string and all of one length,
// into a query that yields them as rows. Its text does not depend on the
// length, so that a statement with it can be prepared; its parameters are
// numbered from first, and next is the number after them.
func (d dialect) table(first int, columns ...any) (query string, args []any, next int, err error) {
	if d.arrays {
		var b strings.Builder
		for i, c := range columns {
			kind := "bigint"
			if _, text := c.([]string); text {
				kind = "text"
			}
			if i > 0 {
				b.WriteString(", ")
			}
			fmt.Fprintf(&b, "$%d::%s[]", first+i, kind)
		}
		// The limit takes nothing away: of a list with a limit that is not known
		// PostgreSQL expects one row, and keeps one plan for all calls. Of one
		// without it expects ten, and for fewer makes a plan at each call, which
		// takes ten times as long as what is asked.
		next = first + len(columns)
		limit := reflect.ValueOf(columns[0]).Len()
		return fmt.Sprintf("select * from unnest(%s) limit $%d", b.String(), next), append(slices.Clip(columns), limit), next + 1, nil
	}
	rows := make([][]any, reflect.ValueOf(columns[0]).Len())
	selected := make([]string, len(columns))
	for i, c := range columns {
		selected[i] = fmt.Sprintf("value ->> %d", i)
		for n := range rows {
			rows[n] = append(rows[n], reflect.ValueOf(c).Index(n).Interface())
		}
	}
	body, err := json.Marshal(rows)
	if err != nil {
		return "", nil, first, fmt.Errorf("encoding lists: %w", err)
	}
	return fmt.Sprintf("select %s from json_each($%d)", strings.Join(selected, ", "), first), []any{string(body)}, first + 1, nil
}

// column is one member of each row, never nil.
func column[R, C any](rows []R, get func(R) C) []C {
	out := make([]C, len(rows))
	for i, r := range rows {
		out[i] = get(r)
	}
	return out
}

// pointer is nil for what is null.
func pointer[T any](v T, valid bool) *T {
	if !valid {
		return nil
	}
	return &v
}
