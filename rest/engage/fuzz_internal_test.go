package engage

import (
	"encoding/json"
	"net/url"
	"slices"
	"testing"

	"carillon/model"
	"carillon/rest"
	"carillon/user"
)

// FuzzParseID holds that an id is written in one way only, and that what is
// written can be read.
func FuzzParseID(f *testing.F) {
	for _, s := range []string{"000000000000000000000001", "00000000000000000000000A", "001fffffffffffff", "00000000001fffffffffffff", "+00000000000000000000001", "", "x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, ok := parseID(s)
		if !ok {
			return
		}
		if again, ok := parseID(objectID(id)); !ok || again != id || id < 1 || id > model.MaxID {
			t.Errorf("%q is %d, and that %q", s, id, objectID(id))
		}
	})
}

// FuzzPage holds that a page that is asked for has at most one end and a limit in
// bounds, or is refused.
func FuzzPage(f *testing.F) {
	for _, s := range []string{"", "limit=3&after_id=000000000000000000000001", "limit=-1", "limit=9999999999999999999", "before_id=x&next_cursor=000000000000000000000002", "%zz"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, query string) {
		q, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		c := &call{}
		p := c.page(q)
		if c.check.Err() == nil && (p.limit < 1 || p.limit > maxLimit || p.after != 0 && p.before != 0 || p.backward != (p.before != 0)) {
			t.Errorf("%q is %+v", query, p)
		}
	})
}

// FuzzBody holds that what is read from a body is refused, or is a profile, a mail
// with addresses and a number that can be kept.
func FuzzBody(f *testing.F) {
	for _, s := range []string{
		`{"id":1,"first_name":"A","email":"a@example.com","number":"2348012345678","meta":{"a":1},"created_at":"2021-01-12"}`,
		`{"to":["a@example.com","A <b@example.com>"],"cc":"c@example.com","from":{"email":"x"},"subject":"s","html":"h"}`,
		`{"meta":{"locale":"de_DE","timeZone":null,"":0},"number":-1,"device_token":"t","device_platform":"IOS"}`,
		`{"accounts":[{"id":"a"},null,[]],"to":12,"body":"\n"}`, `[]`, `{"number":"\u0000","meta":{"email":1}}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		if model.CheckJSON([]byte(body), 1<<16, model.MaxDataDepth) != "" {
			return
		}
		read := func() *call {
			c := &call{API: &API{Config: Config{Users: &user.Service{}}}}
			c.body = rest.Object(json.RawMessage(body), &c.check)
			return c
		}
		c := read()
		ch := c.change("ada")
		c.accounts()
		c.match()
		if c.check.Err() == nil {
			if after, problems, err := ch.Merge(0, json.RawMessage("{}")); err == nil && len(problems) == 0 && !json.Valid(after) {
				t.Errorf("%q makes the profile %q", body, after)
			}
		}
		c = read()
		req, to := c.mail(), c.mailTo()
		if c.check.Err() == nil {
			for i, address := range to {
				if is, wrong := model.CheckEmail(address); wrong != "" || is != address || slices.Contains(to[:i], address) {
					t.Errorf("%q goes to %q: %s", body, to, wrong)
				}
			}
			if len(req.Options.Overrides) > 0 && req.Options.Overrides[0].Merge != nil {
				t.Errorf("%q overrides %s", body, req.Options.Overrides[0].Merge)
			}
		}
		c = read()
		if n := c.phone("to"); c.check.Err() == nil && n != "" && model.PhoneOf(n) != n {
			t.Errorf("%q is for the number %q", body, n)
		}
	})
}
