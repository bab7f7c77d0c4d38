package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"carillon/model"
)

// exception is what few users have: a choice, or that they are disabled.
type exception struct {
	user   model.UserID
	choice model.Choice
}

// exceptionKind is where exceptions are: a table, as x, and its column of users.
type exceptionKind struct{ columns, table, user, where string }

var (
	disabled = exceptionKind{"x.id, 0, 0, false", "users", "x.id", "not x.enabled"}
	chosen   = exceptionKind{"x.user_id, x.category_id, x.channel, x.enabled", "preferences", "x.user_id", "true"}
)

// exceptionsEach is how many exceptions there may be for each recipient, counting
// those of everyone between the first and the last, before each is asked for alone.
const exceptionsEach = 4

// addExceptions adds to recipients, who are in order, what they have chosen, and
// whether they are disabled.
func (s *Store) addExceptions(ctx context.Context, q model.AudienceQuery, to []model.Recipient) error {
	if len(to) == 0 {
		return nil
	}
	who, err := s.exceptions(ctx, q.Env, to, disabled, nil)
	if err != nil {
		return fmt.Errorf("who is disabled: %w", err)
	}
	for _, x := range who {
		if r := recipientOf(to, x.user); r != nil {
			r.Enabled = false
		}
	}
	categories := append([]int64{0}, column(q.Categories, func(c model.CategoryID) int64 { return int64(c) })...)
	choices, err := s.exceptions(ctx, q.Env, to, chosen, categories)
	if err != nil {
		return fmt.Errorf("what is chosen: %w", err)
	}
	for _, x := range choices {
		relevant := slices.Contains(categories, int64(x.choice.Category))
		if r := recipientOf(to, x.user); r != nil && relevant {
			r.Choices = append(r.Choices, x.choice)
		}
	}
	return nil
}

func recipientOf(to []model.Recipient, id model.UserID) *model.Recipient {
	i, found := slices.BinarySearchFunc(to, id, func(r model.Recipient, id model.UserID) int { return cmp.Compare(r.ID, id) })
	if !found {
		return nil
	}
	return &to[i]
}

// exceptions reads those of everyone between the first and the last recipient,
// which costs next to nothing for whom there are none; or, where these are many
// more than the recipients are likely to have, those of each recipient, of the
// categories alone.
func (s *Store) exceptions(ctx context.Context, env model.EnvID, to []model.Recipient, k exceptionKind, categories []int64) (out []exception, err error) {
	var x exception
	read := func(statement string, args ...any) error {
		out = out[:0]
		rows, err := s.query(ctx, statement, args...)
		return scanEach(rows, err, []any{&x.user, &x.choice.Category, &x.choice.Channel, &x.choice.Enabled}, func() error {
			out = append(out, x)
			return nil
		})
	}
	most := exceptionsEach*len(to) + 1
	between := fmt.Sprintf("select %s from %s x where x.env_id = $1 and %[3]s between $2 and $3 and %[4]s order by %[3]s limit $4", k.columns, k.table, k.user, k.where)
	if err := read(between, int64(env), int64(to[0].ID), int64(to[len(to)-1].ID), most); err != nil || len(out) < most {
		return out, err
	}
	wanted, args, next, err := s.dialect.table(1, column(to, func(r model.Recipient) int64 { return int64(r.ID) }))
	if err != nil {
		return nil, err
	}
	where := k.where
	if categories != nil {
		relevant, more, after, err := s.dialect.table(next, categories)
		if err != nil {
			return nil, err
		}
		// "is true" keeps the index by category out of it, which leads to everyone's.
		where, args, next = where+" and (x.category_id in ("+relevant+")) is true", append(args, more...), after
	}
	each := fmt.Sprintf("with k (id) as (%s) select %s from k cross join %s x where x.env_id = $%d and %s = k.id and %s", wanted, k.columns, k.table, next, k.user, where)
	err = read(each, append(args, int64(env))...)
	return out, err
}
