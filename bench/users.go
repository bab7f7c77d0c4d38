package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"carillon/internal/lab"
)

// fillTable makes users of a table: a thousand companies, one user in a hundred disabled, one in
// 50,000 with the plan "rare".
const fillTable = `with made as (
		insert into users (env_id, id, identifier, enabled, created_at, updated_at, last_seen_at)
		select $1, 2000000000 + n, 'member-' || n, n % 100 <> 0, 1700000000000000 + n * 1000000, 0, n from generate_series($2::bigint, $3::bigint) n returning id)
	insert into profiles (env_id, user_id, version, attributes, email, phone_number)
	select $1, id, 1, '{"company":"Company ' || id % 1000 || '","email":"m' || id || '@example.com","firstName":"F' || md5(id::text) || '","lastName":"L' || md5((id + 1)::text)
		|| '","plan":"' || case when id % 50000 = 0 then 'rare' else 'free' end || '","seats":' || id % 500 || '}',
		'm' || id || '@example.com', '+1555' || id from made`

// tables are the lists that a console asks for.
var tables = []struct{ name, args string }{
	{"all", ``},
	{"by identifier", `orderBy:{field:IDENTIFIER,direction:ASC}`},
	{"by e-mail", `orderBy:{field:EMAIL,direction:ASC}`},
	{"by last seen", `orderBy:{field:LAST_SEEN_AT}`},
	{"by sign-up", `orderBy:{field:SIGNED_UP_AT}`},
	{"search of one", `filter:{search:"member-4711"}`},
	{"search of many", `filter:{search:"f"}`},
	{"search of nobody", `filter:{search:"zzz"}`},
	{"search of many and one", `filter:{search:"f member-4711"}`},
	{"disabled", `filter:{enabled:false}`},
	{"disabled, by e-mail", `filter:{enabled:false},orderBy:{field:EMAIL}`},
	{"disabled, searched", `filter:{enabled:false,search:"m20000012"}`},
	{"disabled, search of many", `filter:{enabled:false,search:"f"}`},
	{"accounts (none)", `filter:{userKind:ACCOUNT}`},
	{"archived (none), searched", `filter:{archived:true,search:"f"}`},
	{"e-mail", `filter:{email:"m2000000007@example.com"}`},
	{"created in a day", `filter:{createdSince:"2023-11-15T00:00:00Z",createdUntil:"2023-11-16T00:00:00Z"}`},
	{"signed up in a day", `filter:{signedUpSince:"2023-11-15T00:00:00Z",signedUpUntil:"2023-11-16T00:00:00Z"}`},
	{"created in a day, by last seen", `filter:{createdSince:"2023-11-15T00:00:00Z",createdUntil:"2023-11-16T00:00:00Z"},orderBy:{field:LAST_SEEN_AT}`},
	{"created in an hour, disabled", `filter:{enabled:false,createdSince:"2023-11-15T00:00:00Z",createdUntil:"2023-11-15T01:00:00Z"},orderBy:{field:EMAIL}`},
	{"attribute, rare", `filter:{properties:[{name:"plan",equals:"rare"}]}`},
	{"attribute, common", `filter:{properties:[{name:"plan",equals:"free"}]}`},
	{"attribute, common, by e-mail", `filter:{properties:[{name:"plan",equals:"free"}]},orderBy:{field:EMAIL}`},
	{"attribute, one in 1000", `filter:{properties:[{name:"company",equals:"Company 7"}]}`},
	{"attribute, no such value", `filter:{properties:[{name:"plan",equals:"none"}]}`},
	{"attribute of few, disabled", `filter:{enabled:false,properties:[{name:"company",equals:"Company 100"},{name:"plan",equals:"free"}]}`},
	{"attribute contains", `filter:{properties:[{name:"company",contains:"pany 77"}]}`},
	{"attribute contains, nobody", `filter:{properties:[{name:"company",contains:"nowhere"}]}`},
	{"attribute above", `filter:{properties:[{name:"seats",greaterThan:498}]}`},
	{"attribute above, nobody", `filter:{properties:[{name:"seats",greaterThan:1000}]}`},
	{"attribute above, nobody, by last seen", `filter:{properties:[{name:"seats",greaterThan:1000}]},orderBy:{field:LAST_SEEN_AT}`},
	{"deep page", `after:"DEEP"`},
	{"deep page, disabled", `after:"DEEP",filter:{enabled:false}`},
	{"deep page, search of many", `after:"DEEP",filter:{search:"f"}`},
	{"deep page, attribute above", `after:"DEEP",filter:{properties:[{name:"seats",greaterThan:498}]}`},
	{"page before a deep one", `before:"DEEP",filter:{properties:[{name:"plan",equals:"free"}]}`},
}

// userTables measures pages of 50 users, with and without the total.
func (p *place) userTables(ctx context.Context) error {
	env, err := p.setup.CreateApp(ctx, "table", "test")
	if err != nil {
		return err
	}
	if err := p.fillUsers(ctx, env.APIKey); err != nil {
		return err
	}
	srv, err := p.serve(ctx, p.setup)
	if err != nil {
		return err
	}
	defer srv.Kill()
	if err := p.listUsers(ctx, lab.NewPatientClient("http://"+srv.addr, env.SecretKey, time.Minute)); err != nil {
		return fmt.Errorf("%w\n%s", err, srv.Log())
	}
	return nil
}

func (p *place) listUsers(ctx context.Context, client *lab.Client) error {
	for _, name := range []string{`"plan",type:TEXT`, `"company",type:TEXT`, `"seats",type:NUMBER`} {
		if err := mutate(ctx, client, `setProperty(input:{name:`+name+`,shown:true}){userErrors{path message}}`); err != nil {
			return fmt.Errorf("setProperty: %w", err)
		}
	}
	deep, err := p.middle(ctx, client)
	if err != nil {
		return err
	}
	for _, table := range tables {
		args := table.args
		if strings.HasPrefix(args, "before:") {
			args = "last:50," + args
		} else {
			args = "first:50," + args
		}
		args = strings.ReplaceAll(args, "DEEP", deep)
		shown, took, err := p.timed(ctx, client, args, "")
		if err != nil {
			return fmt.Errorf("%s: %w", table.name, err)
		}
		_, total, err := p.timed(ctx, client, args, " total{count exact}")
		if err != nil {
			return fmt.Errorf("%s, with total: %w", table.name, err)
		}
		p.add(result{work: fmt.Sprintf("users, 50 of %s: %s", count(p.users), table.name), ours: shown + "; " + spread(took) + "; with total " + spread(total)})
	}
	return nil
}

// middle is the cursor of a user in the middle of the list.
func (p *place) middle(ctx context.Context, client *lab.Client) (string, error) {
	until := time.UnixMicro(1700000000000000 + int64(p.users/2)*1000000).UTC().Format(time.RFC3339)
	var out struct {
		Users struct{ PageInfo struct{ EndCursor string } }
	}
	err := client.Do(ctx, `{users(first:1,filter:{createdUntil:"`+until+`"}){pageInfo{endCursor}}}`, nil, &out)
	return out.Users.PageInfo.EndCursor, err
}

// spread is what most and nearly all of some times are within, which are in order.
func spread(took []time.Duration) string {
	return fmt.Sprintf("p50 %s p99 %s", took[len(took)/2].Round(100*time.Microsecond), took[len(took)*99/100].Round(100*time.Microsecond))
}

// fillUsers makes the users of the table in the database itself.
func (p *place) fillUsers(ctx context.Context, apiKey string) error {
	db, err := pgx.Connect(ctx, p.setup.Postgres.URL)
	if err != nil {
		return err
	}
	defer db.Close(context.WithoutCancel(ctx))
	var env int64
	if err := db.QueryRow(ctx, "select id from environments where api_key = $1", apiKey).Scan(&env); err != nil {
		return err
	}
	began := time.Now()
	progress := func(what string) { fmt.Fprintf(os.Stderr, "  %6s  %s\n", time.Since(began).Round(time.Second), what) }
	return fillWithout(ctx, db, []string{"users", "profiles"}, func() error {
		const part = 50_000
		for from := 1; from <= p.users; from += part {
			if _, err := db.Exec(ctx, fillTable, env, int64(from), int64(min(from+part-1, p.users))); err != nil {
				return fmt.Errorf("making users: %w", err)
			}
		}
		progress(count(p.users) + " users are there")
		return nil
	}, progress)
}

// timed asks for a table for a while, and gives the times in order, with how
// many users the page showed and whether it said that there are more.
func (p *place) timed(ctx context.Context, client *lab.Client, args, more string) (shown string, took []time.Duration, err error) {
	query := `{users(` + args + `){nodes{id identifier enabled createdAt lastSeenAt profile{email attributes}}pageInfo{hasNextPage hasPreviousPage endCursor}` + more + `}}`
	var out struct {
		Users struct {
			Nodes    []struct{ ID string }
			PageInfo struct{ HasNextPage bool }
		}
	}
	for began := time.Now(); time.Since(began) < p.length/2 || len(took) < 10; {
		start := time.Now()
		if err := client.Do(ctx, query, nil, &out); err != nil {
			return "", nil, err
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	shown = fmt.Sprintf("%d shown", len(out.Users.Nodes))
	if out.Users.PageInfo.HasNextPage {
		shown += ", more to come"
	}
	return shown, took, nil
}
