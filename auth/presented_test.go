package auth_test

import (
	"bufio"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"carillon/auth"
	"carillon/auth/authtest"
)

// request parses a raw request as a server does.
func request(t *testing.T, headers ...string) *http.Request {
	t.Helper()
	raw := "POST /graphql?access_token=sk_test_query&token=sk_test_query&key=pk&user=ada HTTP/1.1\r\nHost: x\r\n" + strings.Join(headers, "\r\n")
	if len(headers) > 0 {
		raw += "\r\n"
	}
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw + "\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestFromRequest(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		headers []string
		want    auth.Presented
	}{
		"NothingButQueryAndCookies": {
			[]string{"Cookie: Authorization=Bearer sk_test_cookie; X-Carillon-Key=pk; token=sk_test_cookie", "Proxy-Authorization: Bearer sk_test_proxy", "X-Api-Key: sk_test_other"},
			auth.Presented{},
		},
		"All": {
			[]string{"authorization: Bearer t", "x-carillon-key: pk", "X-CARILLON-USER: ada", "X-Carillon-Signature: sig="},
			auth.Presented{Authorization: "Bearer t", Key: "pk", User: "ada", Signature: "sig="},
		},
		"UserInUTF8": {[]string{"X-Carillon-User: Ада"}, auth.Presented{User: "Ада"}},
	} {
		got, err := auth.FromRequest(request(t, tt.headers...))
		if err != nil || got != tt.want {
			t.Errorf("%s: %+v, %v; want %+v", name, got, err, tt.want)
		}
	}
}

func TestDoubledAndEmptyHeadersAreRefused(t *testing.T) {
	t.Parallel()
	want := wrong(t)
	for _, header := range []string{"Authorization", "X-Carillon-Key", "X-Carillon-User", "X-Carillon-Signature"} {
		for name, headers := range map[string][]string{
			"Twice":          {header + ": Bearer sk_test_a", header + ": Bearer sk_test_b"},
			"TwiceTheSame":   {header + ": Bearer sk_test_a", header + ": Bearer sk_test_a"},
			"InTwoSpellings": {header + ": Bearer sk_test_a", strings.ToLower(header) + ": Bearer sk_test_b"},
			"OneEmpty":       {header + ": Bearer sk_test_a", header + ":"},
			"Empty":          {header + ":"},
			"Blank":          {header + ":   "},
		} {
			t.Run(header+name, func(t *testing.T) {
				_, err := auth.FromRequest(request(t, headers...))
				assertRefused(t, err, want)
			})
		}
	}
}

func TestFromInit(t *testing.T) {
	t.Parallel()
	upgrade := auth.Presented{Authorization: "Bearer upgrade"}
	for name, tt := range map[string]struct {
		payload string
		want    auth.Presented
	}{
		"Absent":             {"", upgrade},
		"Null":               {" null ", upgrade},
		"EmptyObject":        {"{}", upgrade},
		"OthersOnly":         {`{"client":"x","headers":{"authorization":"Bearer nested"}}`, upgrade},
		"NullMembers":        {`{"authorization":null,"key":null}`, upgrade},
		"Authorization":      {`{"authorization":"Bearer t"}`, auth.Presented{Authorization: "Bearer t"}},
		"AuthorizationUpper": {`{"Authorization":"Bearer t","x":1}`, auth.Presented{Authorization: "Bearer t"}},
		"KeyAndUser":         {`{"key":"pk","user":"ada"}`, auth.Presented{Key: "pk", User: "ada"}},
		"Signed":             {`{"key":"pk","user":"a\u00e9","signature":"s="}`, auth.Presented{Key: "pk", User: "aé", Signature: "s="}},
	} {
		got, err := auth.FromInit([]byte(tt.payload), upgrade)
		if err != nil || got != tt.want {
			t.Errorf("%s: %+v, %v; want %+v", name, got, err, tt.want)
		}
	}

	want := wrong(t)
	for name, payload := range map[string]string{
		"List": `[]`, "Text": `"Bearer t"`, "Number": `1`, "Broken": `{"authorization":`, "Trailing": `{} {}`, "Bare": `{authorization:"x"}`,
		"AuthorizationNumber": `{"authorization":1}`, "AuthorizationObject": `{"authorization":{"a":"b"}}`, "AuthorizationList": `{"authorization":["Bearer t"]}`,
		"AuthorizationEmpty": `{"authorization":""}`, "UserNumber": `{"key":"pk","user":7}`, "UserEmpty": `{"key":"pk","user":""}`,
		"Twice": `{"user":"ada","user":"bob"}`, "TwiceInTwoCases": `{"user":"ada","User":"bob"}`,
		"Big": `{"authorization":"` + strings.Repeat("A", 40_000) + `"}`, "Deep": `{"a":` + strings.Repeat("[", 12_000) + `}`,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := auth.FromInit([]byte(payload), upgrade)
			assertRefused(t, err, want)
		})
	}
}

func TestSetHeadersIsReadBack(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, p := range []auth.Presented{f.token.Secret(), f.open.User("ada"), f.hmac.Signed("ada"), f.token.Token(t, "ada")} {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		authtest.SetHeaders(r.Header, p)
		if got, err := auth.FromRequest(r); err != nil || got != p {
			t.Errorf("read back %+v, %v; want %+v", got, err, p)
		}
	}
}
