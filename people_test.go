package main

import (
	"encoding/csv"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"carillon/model"
)

// download asks for a path with a credential.
func (e *embedded) download(t *testing.T, method, path, credential string) (status int, body string, header http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, e.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if credential != "" {
		req.Header.Set("Authorization", "Bearer "+credential)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b), res.Header
}

func TestDownloads(t *testing.T) {
	t.Parallel()
	e := startEmbedded(t, "DEMO=false")
	secrets := map[string]string{}
	for _, app := range []string{"shop", "other"} {
		_, out, errs := e.cli(t, "app", "create", "--name", app, "--environment", "test", "--user-auth", "token", "--json")
		var made environmentJSON
		if err := json.Unmarshal([]byte(out), &made); err != nil {
			t.Fatalf("app create: %v\n%s", err, errs)
		}
		secrets[app] = made.SecretKey
	}
	_, token, _ := e.cli(t, "token", "--app", "shop", "--environment", "test", "--user", "ada")
	token = strings.TrimSpace(token)
	e.query(t, secrets["other"], `mutation { identifyUser(input: {identifier: "theirs"}) { created } }`)
	e.query(t, secrets["shop"], `mutation {
		identifyUser(input: {identifier: "ada", firstName: "=HYPERLINK(1)", email: "ada@example.com", phoneNumber: "+447946000001", profile: {plan: "gold, \"big\"", visits: 3}}) { created }
		odd: identifyUser(input: {identifier: "a/b c"}) { created }
		registerDevice(input: {user: "ada", deviceId: "phone", platform: IOS, token: "a-secret-token"}) { userErrors { message } }
		trackEvents(input: {user: "ada", events: [{name: "Paid", value: 7}]}) { userErrors { message } }
		createTopic(input: {identifier: "news", name: "News"}) { userErrors { message } }
		subscribeToTopic(input: {topic: "news", users: [{identifier: "ada"}]}) { userErrors { message } }
		createSegment(input: {identifier: "payers", name: "Payers", rule: {event: {name: "Paid"}}}) { userErrors { message } }
		setSegmentSuppression(input: {segment: "payers", user: "ada", suppressed: true}) { userErrors { message } }
		sendNotification(input: {to: {users: ["ada"]}, title: "Hello", body: "there"}) { userErrors { message } }
	}`)

	t.Run("Users", func(t *testing.T) {
		status, body, header := e.download(t, http.MethodGet, "/export/users.csv", secrets["shop"])
		rows, err := csv.NewReader(strings.NewReader(body)).ReadAll()
		if status != http.StatusOK || err != nil || len(rows) != 3 || !strings.HasPrefix(header.Get("Content-Type"), "text/csv") {
			t.Fatalf("status %d, %v, %v rows, %v", status, err, len(rows), header)
		}
		got := map[string]string{}
		for i, name := range rows[0] {
			got[name] = rows[1][i]
		}
		for name, want := range map[string]string{
			"identifier": "ada", "firstName": "'=HYPERLINK(1)", "email": "ada@example.com", "phoneNumber": "'+447946000001", "enabled": "true", "userKind": "PERSON",
			"topics": "news", "attributes.plan": `gold, "big"`, "attributes.visits": "3",
		} {
			if got[name] != want {
				t.Errorf("%s is %q, want %q", name, got[name], want)
			}
		}
	})
	t.Run("One", func(t *testing.T) {
		status, body, _ := e.download(t, http.MethodGet, "/export/users/ada.json", secrets["shop"])
		var all map[string]json.RawMessage
		if err := json.Unmarshal([]byte(body), &all); status != http.StatusOK || err != nil {
			t.Fatalf("status %d, %v\n%s", status, err, body)
		}
		for member, want := range map[string]string{
			"user": "ada@example.com", "addresses": "+447946000001", "devices": `"canPush":true`, "topics": `"news"`, "segments": `"suppressed":true`, "events": `"Paid"`, "notifications": `"there"`, "deliveries": "[",
			"formerIdentifiers": "[", "preferences": "[", "accounts": "[", "merges": "[",
		} {
			if !strings.Contains(string(all[member]), want) {
				t.Errorf("%s is %s, want %s in it", member, all[member], want)
			}
		}
		if strings.Contains(body, `"0001-`) || !strings.Contains(string(all["user"]), `"identifierAssigned":true`) {
			t.Errorf("times that are none are told, or not whether the identifier is the application's: %s", body)
		}
		if strings.Contains(body, "a-secret-token") {
			t.Error("the export shows a push token")
		}
		if status, body, _ := e.download(t, http.MethodGet, "/export/users/a%2Fb%20c.json", secrets["shop"]); status != http.StatusOK || !strings.Contains(body, `"a/b c"`) {
			t.Errorf("an identifier with a slash: status %d\n%s", status, body)
		}
	})
	t.Run("Import", func(t *testing.T) { e.imports(t, secrets["shop"], secrets["other"]) })
	t.Run("OneInGraphQL", func(t *testing.T) {
		found, ok := e.query(t, secrets["shop"], `{ user(identifier: "ada") { id } }`)["user"].(map[string]any)
		id, isText := found["id"].(string)
		if !ok || !isText {
			t.Fatalf("ada is %v", found)
		}
		all := e.text(t, secrets["shop"], `{ exportUser(id: "`+id+`") }`)
		_, body, _ := e.download(t, http.MethodGet, "/export/users/ada.json", secrets["shop"])
		if !strings.Contains(all, `"Paid"`) || !sameJSON(t, `{"exportUser":`+body+`}`, all) {
			t.Errorf("got %s, want %s", all, body)
		}
		if theirs := e.text(t, secrets["other"], `{ exportUser(id: "`+id+`") }`); theirs != `{"exportUser":null}` {
			t.Errorf("another environment gets %s", theirs)
		}
	})
	t.Run("FormerIdentifier", func(t *testing.T) {
		e.query(t, secrets["shop"], `mutation {
			identifyUser(input: {identifier: "before"}) { created }
			sendNotification(input: {to: {users: ["before"]}, title: "Sent before"}) { userErrors { message } }
			updateUser(input: {user: "before", newIdentifier: "after"}) { userErrors { message } }
			later: sendNotification(input: {to: {users: ["after"]}, title: "Sent after"}) { userErrors { message } }
		}`)
		_, old, _ := e.cli(t, "token", "--app", "shop", "--environment", "test", "--user", "before")
		got := e.text(t, strings.TrimSpace(old), `{ viewer { user { identifier inbox { nodes { title } counters { unread } } } } }`)
		if !sameJSON(t, got, `{"viewer":{"user":{"identifier":"after","inbox":{"nodes":[{"title":"Sent after"},{"title":"Sent before"}],"counters":{"unread":2}}}}}`) {
			t.Errorf("the inbox is %s", got)
		}
	})
	for _, tt := range []struct {
		name, method, path, credential string
		status                         int
	}{
		{"ImportByUser", http.MethodPost, "/import/users.csv", token, http.StatusForbidden},
		{"ImportByNobody", http.MethodPost, "/import/users.csv", "", http.StatusUnauthorized},
		{"ImportOfNothing", http.MethodPost, "/import/users.csv", secrets["shop"], http.StatusBadRequest},
		{"ImportPerhaps", http.MethodPost, "/import/users.csv?dryRun=perhaps", secrets["shop"], http.StatusBadRequest},
		{"NoImport", http.MethodGet, "/import/users/imp_1", secrets["shop"], http.StatusNotFound},
		{"ImportZeroByte", http.MethodGet, "/import/users/a%00", secrets["shop"], http.StatusNotFound},
		{"NoCredential", http.MethodGet, "/export/users.csv", "", http.StatusUnauthorized},
		{"WrongCredential", http.MethodGet, "/export/users.csv", "sk_test_wrong", http.StatusUnauthorized},
		{"User", http.MethodGet, "/export/users.csv", token, http.StatusForbidden},
		{"UserAboutThemself", http.MethodGet, "/export/users/ada.json", token, http.StatusForbidden},
		{"Unknown", http.MethodGet, "/export/users/nobody.json", secrets["shop"], http.StatusNotFound},
		{"OfAnotherEnvironment", http.MethodGet, "/export/users/theirs.json", secrets["shop"], http.StatusNotFound},
		{"NoIdentifier", http.MethodGet, "/export/users/.json", secrets["shop"], http.StatusNotFound},
		{"ZeroByte", http.MethodGet, "/export/users/a%00b.json", secrets["shop"], http.StatusNotFound},
		{"NotUTF8", http.MethodGet, "/export/users/%ff.json", secrets["shop"], http.StatusNotFound},
		{"TooLong", http.MethodGet, "/export/users/" + strings.Repeat("a", 300) + ".json", secrets["shop"], http.StatusNotFound},
		{"OtherForm", http.MethodGet, "/export/users/ada.xml", secrets["shop"], http.StatusNotFound},
		{"OtherMethod", http.MethodPost, "/export/users.csv", secrets["shop"], http.StatusMethodNotAllowed},
		{"Elsewhere", http.MethodGet, "/export/sends.csv", secrets["shop"], http.StatusNotFound},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, body, _ := e.download(t, tt.method, tt.path, tt.credential)
			if status != tt.status || !strings.Contains(body, `"message":"`) {
				t.Errorf("status %d with %s, want %d in words", status, body, tt.status)
			}
		})
	}
}

// imports uploads a file of users, and waits until they are there.
func (e *embedded) imports(t *testing.T, secret, other string) {
	t.Helper()
	upload := func(kind, file string) (status int, made struct{ Import struct{ ID string } }) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, e.url+"/import/users.csv", strings.NewReader(file))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+secret)
		req.Header.Set("Content-Type", kind)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if err := json.NewDecoder(res.Body).Decode(&made); err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, made
	}
	if status, _ := upload("multipart/form-data; boundary=x", "identifier\nnew\n"); status != http.StatusUnsupportedMediaType {
		t.Errorf("a form: status %d", status)
	}
	if status, _ := upload("text/csv", "colour\nred\n"); status != http.StatusBadRequest {
		t.Errorf("a wrong header: status %d", status)
	}
	status, made := upload("text/csv; charset=utf-8", "identifier,email\r\nnew,new@example.com\r\nwrong,nowhere\r\n")
	if status != http.StatusAccepted || made.Import.ID == "" {
		t.Fatalf("status %d, %+v", status, made)
	}
	eventually(t, "the import is done", func() bool {
		return sameJSON(t, e.text(t, secret, `{ import(id: "`+made.Import.ID+`") { status total processed valid invalid duplicates errors { line column } } user(identifier: "new") { profile { email } } }`),
			`{"import":{"status":"DONE","total":2,"processed":2,"valid":1,"invalid":1,"duplicates":0,"errors":[{"line":3,"column":"email"}]},"user":{"profile":{"email":"new@example.com"}}}`)
	})
	if _, body, _ := e.download(t, http.MethodGet, "/import/users/"+made.Import.ID, secret); !strings.Contains(body, `"status":"DONE"`) {
		t.Errorf("progress is %s", body)
	}
	if theirs := e.text(t, other, `{ import(id: "`+made.Import.ID+`") { status } }`); theirs != `{"import":null}` {
		t.Errorf("another environment sees %s", theirs)
	}
}

// text is the answer to a query, as JSON.
func (e *embedded) text(t *testing.T, credential, query string) string {
	t.Helper()
	all, err := json.Marshal(e.query(t, credential, query))
	if err != nil {
		t.Fatal(err)
	}
	return string(all)
}

func sameJSON(t *testing.T, a, b string) bool {
	t.Helper()
	canonical := func(s string) string {
		c, err := model.CanonicalJSON(json.RawMessage(s))
		if err != nil {
			t.Fatalf("%v in %s", err, s)
		}
		return string(c)
	}
	return canonical(a) == canonical(b)
}
