package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/uptrace/bun"

	"carillon/model"
)

// values builds the rows of a VALUES list: "(?, ?), (?, ?)" and their
// arguments. Each row has as many columns as the first.
type values struct {
	b    strings.Builder
	args []any
}

func (v *values) row(columns ...any) {
	if v.b.Len() > 0 {
		v.b.WriteString(", ")
	}
	v.b.WriteByte('(')
	for i := range columns {
		if i > 0 {
			v.b.WriteString(", ")
		}
		v.b.WriteByte('?')
	}
	v.b.WriteByte(')')
	v.args = append(v.args, columns...)
}

func (v *values) empty() bool { return len(v.args) == 0 }

// String is the list without the word VALUES; its arguments are args.
func (v *values) String() string { return v.b.String() }

// insert runs an insert of the rows; without rows it does nothing.
func (v *values) insert(ctx context.Context, tx bun.IDB, into string) error {
	if v.empty() {
		return nil
	}
	_, err := tx.NewRaw(into+" values "+v.String(), v.args...).Exec(ctx)
	return err
}

// anyEnv stands for an environment where others than the best index begin with
// it too. PostgreSQL's planner does not look into it, and reckons with an
// environment of middling size: of one that has come after statistics were
// gathered it expects a single row, and any index will do to find that.
const anyEnv = "(select ?)"

// keys is a WITH that names rows of an environment by their ids, as k (of_env,
// of_id). By "env_id = 7 and id in (…)" a planner that has not heard of that
// environment yet expects a handful of rows in it, and may read all of them;
// joined to this it looks each up by its key, whatever the statistics say.
func keys[T ~int64](env model.EnvID, ids []T) string {
	b := []byte("with k (of_env, of_id) as materialized (values ")
	for i, id := range ids {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, "(%d,%d)", int64(env), int64(id))
	}
	return string(append(b, ") "...))
}
