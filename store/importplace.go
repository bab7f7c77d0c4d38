package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/uptrace/bun"

	"carillon/model"
)

// signUp is when a user signed up.
type signUp struct {
	user model.UserID
	at   int64
}

func (i *importing) signUps(ctx context.Context, tx bun.Tx, list []signUp) error {
	if len(list) == 0 {
		return nil
	}
	wanted, args, next, err := i.s.dialect.table(1,
		column(list, func(u signUp) int64 { return int64(u.user) }),
		column(list, func(u signUp) int64 { return u.at }))
	if err != nil {
		return err
	}
	_, err = tx.Tx.ExecContext(ctx, fmt.Sprintf(`with x (user_id, at) as (%s)
		update users set signed_up_at = x.at, updated_at = $%d from x where users.env_id = $%d and users.id = x.user_id`, wanted, next, next+1),
		append(args, micros(i.s.now()), int64(i.env))...)
	return err
}

// placing is which users a part of an import puts on which topics.
type placing struct {
	rows values
	news map[model.UserID]bool // who was not on one of them
}

// places finds the topics that rows name, and who is to be put on them. A row
// that names one that is not there, or is archived, is taken without it, and
// that is told. Whoever is on a topic stays there as they are: an import does not
// subscribe anew who unsubscribed.
func (i *importing) places(ctx context.Context, tx bun.Tx, left []int, results []model.IdentifyResult) (*placing, error) {
	p := &placing{news: map[model.UserID]bool{}}
	topics, err := i.topics(ctx, tx, left)
	if err != nil || topics == nil {
		return p, err
	}
	there, err := i.placesOf(ctx, tx, topics, results)
	if err != nil {
		return p, err
	}
	for n, r := range results {
		if len(r.Problems) > 0 {
			continue
		}
		row := i.w.Work[left[n]]
		var unknown []string
		for _, name := range row.Topics {
			t, known := topics[name]
			at := topicPlace{t, r.User.ID}
			switch {
			case !known:
				unknown = append(unknown, name)
			case !there[at]:
				there[at], p.news[r.User.ID] = true, true
				p.rows.row(i.env, t, r.User.ID, true, micros(i.s.now()))
			}
		}
		if len(unknown) > 0 {
			i.wrong(model.ImportError{
				Line: row.Line, Column: i.w.Import.Header(model.ImportTopics),
				Message: "must name topics that exist and are not archived; the row is taken without " + firstOf(unknown),
			})
		}
	}
	return p, nil
}

// toldTopics is how many topics an error names, at most.
const toldTopics = 5

// firstOf lists names, the first of them where there are many.
func firstOf(names []string) string {
	told := make([]string, 0, toldTopics)
	for _, name := range names[:min(len(names), toldTopics)] {
		told = append(told, fmt.Sprintf("%.40q", name))
	}
	text := strings.Join(told, ", ")
	if more := len(names) - toldTopics; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// topicPlace is the place of a user on a topic.
type topicPlace struct {
	topic model.TopicID
	user  model.UserID
}

// topics are those that the rows name; nil: they name none. None of them goes
// before the transaction ends.
func (i *importing) topics(ctx context.Context, tx bun.Tx, left []int) (map[string]model.TopicID, error) {
	named := map[string]bool{}
	var names []string
	for _, n := range left {
		for _, name := range i.w.Work[n].Topics {
			if !named[name] {
				named[name], names = true, append(names, name)
			}
		}
	}
	if len(names) == 0 {
		return nil, nil
	}
	lock := i.s.dialect.forKeep
	if i.w.Import.DryRun {
		lock = ""
	}
	var rows []struct {
		ID         model.TopicID
		Identifier string
	}
	if err := tx.NewRaw("select id, identifier from topics where env_id = ? and identifier in (?) and archived_at is null order by id"+lock, i.env, bun.List(names)).Scan(ctx, &rows); err != nil {
		return nil, err
	}
	out := make(map[string]model.TopicID, len(rows))
	for _, r := range rows {
		out[r.Identifier] = r.ID
	}
	return out, nil
}

// placesOf are the places that the users of the rows have on the topics.
func (i *importing) placesOf(ctx context.Context, tx bun.Tx, topics map[string]model.TopicID, results []model.IdentifyResult) (map[topicPlace]bool, error) {
	var (
		ids   []model.TopicID
		users []model.UserID
	)
	for _, id := range topics {
		ids = append(ids, id)
	}
	for _, r := range results {
		if r.User.ID != 0 { // it is in a dry run that would create them
			users = append(users, r.User.ID)
		}
	}
	there := map[topicPlace]bool{}
	if len(ids) == 0 || len(users) == 0 {
		return there, nil
	}
	var rows []struct {
		TopicID model.TopicID
		UserID  model.UserID
	}
	if err := tx.NewRaw("select topic_id, user_id from topic_members where env_id = ? and topic_id in (?) and user_id in (?)", i.env, bun.List(ids), bun.List(users)).Scan(ctx, &rows); err != nil {
		return nil, err
	}
	for _, r := range rows {
		there[topicPlace{r.TopicID, r.UserID}] = true
	}
	return there, nil
}

func (p *placing) save(ctx context.Context, tx bun.Tx) error {
	if p.rows.empty() {
		return nil
	}
	_, err := tx.NewRaw("insert into topic_members (env_id, topic_id, user_id, subscribed, created_at) values "+p.rows.String()+" on conflict do nothing", p.rows.args...).Exec(ctx)
	return err
}
