package main

import (
	"context"
	"fmt"
	"slices"
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
	{"by e-mail", `orderBy:{field:EMAIL,direction:ASC}`},
	{"by last seen", `orderBy:{field:LAST_SEEN_AT}`},
	{"search of one", `filter:{search:"member-4711"}`},
	{"search of many", `filter:{search:"f"}`},
	{"disabled", `filter:{enabled:false}`},
	{"accounts (none)", `filter:{userKind:ACCOUNT}`},
	{"e-mail", `filter:{email:"m2000000007@example.com"}`},
	{"signed up range", `filter:{signedUpSince:"2023-11-15T00:00:00Z",signedUpUntil:"2023-11-16T00:00:00Z"}`},
	{"attribute, rare", `filter:{properties:[{name:"plan",equals:"rare"}]}`},
	{"attribute, common", `filter:{properties:[{name:"plan",equals:"free"}]}`},
	{"attribute, one in 1000", `filter:{properties:[{name:"company",equals:"Company 7"}]}`},
	{"attribute contains", `filter:{properties:[{name:"company",contains:"pany 77"}]}`},
	{"attribute above", `filter:{properties:[{name:"seats",greaterThan:498}]}`},
	{"attribute, nobody", `filter:{properties:[{name:"seats",greaterThan:1000}]}`},
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
	client := lab.NewPatientClient("http://"+srv.addr, env.SecretKey, time.Minute)
	for _, name := range []string{`"plan",type:TEXT`, `"company",type:TEXT`, `"seats",type:NUMBER`} {
		if err := mutate(ctx, client, `setProperty(input:{name:`+name+`,shown:true}){userErrors{path message}}`); err != nil {
			return err
		}
	}
	fmt.Printf("users: pages of 50 of %d users\n", p.users)
	for _, table := range tables {
		times := make([]string, 2)
		for i, more := range []string{"", " total{count exact}"} {
			took, err := p.timed(ctx, client, table.args, more)
			if err != nil {
				return fmt.Errorf("%s: %w", table.name, err)
			}
			times[i] = fmt.Sprintf("p50 %8s  p99 %8s", took[len(took)/2].Round(10*time.Microsecond), took[len(took)*99/100].Round(10*time.Microsecond))
		}
		fmt.Printf("  %-24s %s   with total %s\n", table.name, times[0], times[1])
	}
	return nil
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
	const part = 50_000
	for from := 1; from <= p.users; from += part {
		if _, err := db.Exec(ctx, fillTable, env, int64(from), int64(min(from+part-1, p.users))); err != nil {
			return fmt.Errorf("making users: %w", err)
		}
	}
	for _, statement := range []string{"vacuum analyze users", "vacuum analyze profiles", "checkpoint"} {
		if _, err := db.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// timed asks for a table for a while, and gives the times in order.
func (p *place) timed(ctx context.Context, client *lab.Client, args, more string) ([]time.Duration, error) {
	if args != "" {
		args = "," + args
	}
	query := `{users(first:50` + args + `){nodes{id identifier enabled createdAt lastSeenAt profile{email attributes}}pageInfo{hasNextPage endCursor}` + more + `}}`
	var took []time.Duration
	for began := time.Now(); time.Since(began) < p.length/2 || len(took) < 10; {
		start := time.Now()
		if err := client.Do(ctx, query, nil, &struct{}{}); err != nil {
			return nil, err
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	return took, nil
}
