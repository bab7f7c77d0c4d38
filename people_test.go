package main

import (
	"encoding/csv"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
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
		if strings.Contains(body, "a-secret-token") {
			t.Error("the export shows a push token")
		}
		if status, body, _ := e.download(t, http.MethodGet, "/export/users/a%2Fb%20c.json", secrets["shop"]); status != http.StatusOK || !strings.Contains(body, `"a/b c"`) {
			t.Errorf("an identifier with a slash: status %d\n%s", status, body)
		}
	})
	for _, tt := range []struct {
		name, method, path, credential string
		status                         int
	}{
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
