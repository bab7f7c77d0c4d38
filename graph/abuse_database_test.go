package graph_test

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"
)

// rows is everything in a database, table by table: the row as text → how
// often it is there.
type rows map[string]map[string]int

// peek reads a database behind the store's back.
type peek struct {
	db     *sql.DB
	tables map[string][]string // the columns of each
	stamp  string              // a query whose answer moves when any of it does
	last   string              // its last answer
	known  rows                // what there was then
}

func newPeek(t *testing.T, url string) *peek {
	t.Helper()
	driver, list := "sqlite", `select m.name, c.name from sqlite_schema m, pragma_table_info(m.name) c where m.type = 'table' order by 1, c.cid`
	if strings.HasPrefix(url, "postgres") {
		driver, list = "pgx", `select table_name, column_name from information_schema.columns where table_schema = current_schema() order by 1, ordinal_position`
	}
	p := &peek{db: must(sql.Open(driver, url))(t), tables: map[string][]string{}, stamp: "pragma data_version"}
	p.db.SetMaxOpenConns(1) // data_version is what others changed, as this connection sees it
	t.Cleanup(func() { p.db.Close() })
	found := must(p.db.QueryContext(t.Context(), list))(t)
	defer found.Close()
	for found.Next() {
		var table, column string
		if err := found.Scan(&table, &column); err != nil {
			t.Fatal(err)
		}
		// Blocks of ids are taken before it is known whether they are needed.
		if table != "ids" && table != "schema_migrations" && !strings.HasPrefix(table, "sqlite_") {
			p.tables[table] = append(p.tables[table], column)
		}
	}
	if err := found.Err(); err != nil || len(p.tables) < 10 {
		t.Fatalf("found the tables %v: %v", p.tables, err)
	}
	if driver == "pgx" {
		var parts []string
		for table := range p.tables {
			parts = append(parts, "select hashtextextended(x::text, 0) h from "+table+" x")
		}
		p.stamp = "select count(*) || ' ' || coalesce(sum(h::numeric), 0) from (" + strings.Join(parts, " union all ") + ") rows"
	}
	return p
}

// all reads everything there is, when it is not what it was.
func (p *peek) all(t *testing.T) rows {
	t.Helper()
	var stamp string
	if err := p.db.QueryRowContext(t.Context(), p.stamp).Scan(&stamp); err != nil {
		t.Fatal(err)
	}
	if stamp == p.last {
		return p.known
	}
	out := rows{}
	p.last, p.known = stamp, out
	for table, columns := range p.tables {
		out[table] = map[string]int{}
		p.read(t, table, columns, out[table])
	}
	return out
}

func (p *peek) read(t *testing.T, table string, columns []string, into map[string]int) {
	t.Helper()
	found := must(p.db.QueryContext(t.Context(), "select * from "+table))(t)
	defer found.Close()
	values, to := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		to[i] = &values[i]
	}
	for found.Next() {
		if err := found.Scan(to...); err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for i, v := range values {
			if bytes, ok := v.([]byte); ok {
				v = string(bytes)
			}
			fmt.Fprintf(&b, "%s=%v ", columns[i], v)
		}
		into[b.String()]++
	}
	if err := found.Err(); err != nil {
		t.Fatal(err)
	}
}

// changed lists the rows that are in one and not in the other, of those that
// mind says matter.
func changed(before, after rows, mind func(table, row string) bool) []string {
	var out []string
	compare := func(sign string, a, b rows) {
		for table, list := range a {
			for row, n := range list {
				if b[table][row] != n && mind(table, row) {
					out = append(out, sign+table+": "+row)
				}
			}
		}
	}
	compare("- ", before, after)
	compare("+ ", after, before)
	return out
}
