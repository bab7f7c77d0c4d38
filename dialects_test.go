package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// surfaces is a server with two environments of one app, and the credentials that
// each dialect wants.
type surfaces struct {
	*embedded
	keys  environmentJSON // of the test environment, whose users need no proof
	heads map[string]http.Header
}

func startSurfaces(t *testing.T) *surfaces {
	t.Helper()
	s := &surfaces{embedded: startEmbedded(t, "DEMO=false"), heads: map[string]http.Header{"nobody": {}}}
	live := s.environment(t, "live", "token")
	s.keys = s.environment(t, "test", "open")
	made := s.query(t, s.keys.SecretKey, `mutation { createCredential(input: {kind: ENGAGE}) { credential { id } secret } }`)["createCredential"].(map[string]any)
	key, secret := made["credential"].(map[string]any)["id"].(string), made["secret"].(string)
	spot := func(more ...string) http.Header {
		h := http.Header{"X-Engagespot-Api-Key": {s.keys.APIKey}}
		for i := 0; i < len(more); i += 2 {
			h.Set(more[i], more[i+1])
		}
		return h
	}
	s.heads["engage"] = http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(key+":"+secret))}}
	s.heads["engage key"] = http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(key+":"))}}
	s.heads["fyno"] = http.Header{"Authorization": {"Bearer " + s.keys.SecretKey}}
	s.heads["fyno live"] = http.Header{"Authorization": {"Bearer " + live.SecretKey}}
	s.heads["spot"] = spot("X-Engagespot-Api-Secret", s.keys.APISecret)
	s.heads["spot ada"] = spot("X-Engagespot-User-Id", "ada", "X-Engagespot-Device-Id", "browser-1")
	return s
}

func (s *surfaces) environment(t *testing.T, kind, userAuth string) (made environmentJSON) {
	t.Helper()
	_, out, errs := s.cli(t, "app", "create", "--name", "shop", "--environment", kind, "--user-auth", userAuth, "--json")
	if err := json.Unmarshal([]byte(out), &made); err != nil {
		t.Fatalf("app create: %v\n%s", err, errs)
	}
	return made
}

func (s *surfaces) token(t *testing.T, user string) string {
	t.Helper()
	_, token, _ := s.cli(t, "token", "--app", "shop", "--environment", "test", "--user", user)
	return strings.TrimSpace(token)
}

// call makes a request as somebody.
func (s *surfaces) call(t *testing.T, as, request, body string) (int, string) {
	t.Helper()
	method, path, _ := strings.Cut(request, " ")
	req, err := http.NewRequestWithContext(t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = s.heads[as].Clone()
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(answer)
}

// must is call for what has to work, with an object as the answer.
func (s *surfaces) must(t *testing.T, as, request, body string) map[string]any {
	t.Helper()
	status, answer := s.call(t, as, request, body)
	var out map[string]any
	if err := json.Unmarshal([]byte(answer), &out); err != nil || status >= 300 {
		t.Fatalf("%s is answered %d %s", request, status, answer)
	}
	return out
}

// events opens ada's inbox as a stream, and gives its events.
func (s *surfaces) events(t *testing.T, credential, subscription string) <-chan string {
	t.Helper()
	body, _ := json.Marshal(map[string]string{"query": subscription}) // text always encodes
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/graphql", strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{"Authorization": {"Bearer " + credential}, "Content-Type": {"application/json"}, "Accept": {"text/event-stream"}}
	res, err := http.DefaultClient.Do(req)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("subscribing: %v, %v", res, err)
	}
	t.Cleanup(func() { res.Body.Close() })
	out := make(chan string, 16)
	go func() {
		defer close(out)
		for lines := bufio.NewScanner(res.Body); lines.Scan(); {
			if data, is := strings.CutPrefix(lines.Text(), "data:"); is && strings.Contains(data, `"inbox"`) {
				out <- data
			}
		}
	}()
	return out
}

// TestOnePersonInAllDialects creates somebody through Engage's dialect, changes
// them through Fyno's, notifies them through Engagespot's, and looks at them
// through all, GraphQL and a live inbox included: it is one user.
func TestOnePersonInAllDialects(t *testing.T) {
	t.Parallel()
	s := startSurfaces(t)
	made := s.must(t, "engage key", "POST /v1/users", `{"id":"ada","first_name":"Ada","email":"ada@example.com","meta":{"plan":"pro"}}`)
	events := s.events(t, s.token(t, "ada"), `subscription { inbox { position counters { unread } added { title } } }`)
	next := func(want string) {
		t.Helper()
		select {
		case event := <-events:
			if !strings.Contains(event, want) {
				t.Errorf("the stream told %s, want %s", event, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("waited ten seconds for the stream to tell " + want)
		}
	}
	next(`"unread":0`)
	s.must(t, "fyno", "PATCH /v1/shop/test/profiles/ada/channel", `{"channel":{"sms":"+15550100001","slack":"U07"}}`)
	s.must(t, "fyno", "PUT /v1/shop/test/profiles/ada", `{"name":"Ada Lovelace","timezone":"Europe/London"}`)
	s.must(t, "spot", "POST /v3/notifications", `{"notification":{"title":"Your order"},"sendTo":{"recipients":["ada"]}}`)
	next(`"unread":1},"added":[{"title":"Your order"}]`)

	profile := s.must(t, "fyno", "GET /v1/shop/test/profiles/ada", "")
	if profile["profile_id"] != made["id"] || profile["country_code"] != "US" {
		t.Errorf("Fyno's dialect shows %v, of the user %v", profile, made["id"])
	}
	whole := s.must(t, "engage", "GET /v1/users/ada", "")
	if whole["id"] != made["id"] || whole["last_name"] != "Lovelace" || whole["number"] != "+15550100001" || whole["stats"].(map[string]any)["delivered"] != 1.0 {
		t.Errorf("Engage's dialect shows %v", whole)
	}
	if all := s.must(t, "engage", "GET /v1/users", "")["data"].([]any); len(all) != 1 {
		t.Errorf("there are %d users, want one", len(all))
	}
	spot := s.must(t, "spot ada", "GET /v3/profile", "")
	if spot["email"] != "ada@example.com" || spot["lastName"] != "Lovelace" || spot["plan"] != "pro" || spot["phoneNumber"] != "+15550100001" {
		t.Errorf("Engagespot's dialect shows %v", spot)
	}
	const shown = `{ identifier profile { firstName lastName email phoneNumber timeZone attributes } inbox(first: 5) { counters { unread } nodes { title } } id }`
	asApp, _ := json.Marshal(s.query(t, s.keys.SecretKey, `{ user(identifier: "ada") `+shown+` }`)["user"])
	asUser, _ := json.Marshal(s.query(t, s.token(t, "ada"), `{ viewer { user `+shown+` } }`)["viewer"].(map[string]any)["user"])
	for _, want := range []string{`"email":"ada@example.com"`, `"lastName":"Lovelace"`, `"phoneNumber":"+15550100001"`, `"timeZone":"Europe/London"`, `"plan":"pro"`, `"title":"Your order"`, `"unread":1`} {
		if !strings.Contains(string(asApp), want) {
			t.Errorf("GraphQL shows %s, without %s", asApp, want)
		}
	}
	if string(asApp) != string(asUser) {
		t.Errorf("the application sees\n%s\nand the user\n%s", asApp, asUser)
	}

	// What one dialect marks, the stream and the others see.
	inbox := s.must(t, "spot ada", "GET /v3/notifications", "")["data"].([]any)
	if len(inbox) != 1 {
		t.Fatalf("Engagespot's dialect shows %v", inbox)
	}
	id, _ := json.Marshal(inbox[0].(map[string]any)["id"])
	s.must(t, "spot ada", "POST /v3/notifications/"+string(id)+"/click", "")
	next(`"unread":0`)
	if stats := s.must(t, "engage", "GET /v1/users/ada", "")["stats"].(map[string]any); stats["opened"] != 1.0 {
		t.Errorf("after a click Engage's dialect counts %v", stats)
	}
}

// TestWhatTheVendorsSayOfUsers replays what the documents that the dialects follow
// say about users, in their order. An answer holds each of the texts in want.
func TestWhatTheVendorsSayOfUsers(t *testing.T) {
	t.Parallel()
	s := startSurfaces(t)
	for _, row := range []struct {
		says, as, request, body string
		status                  int
		want                    []string
	}{
		// Engagespot, guide "User".
		{"SendToUnknownIsDiscarded", "spot", "POST /v3/notifications", `{"notification":{"title":"x"},"recipients":["early"]}`, 202, []string{`"requestId":`}},
		{"AndMakesNobody", "fyno", "GET /v1/shop/test/profiles/early", "", 400, nil},
		{"InboxIdentifiesItsUser", "spot ada", "POST /v3/sdk/connect", `{"deviceType":"browser"}`, 200, []string{`"unreadCount":0`, `"name":"shop"`}},
		{"WhoIsThereThen", "spot ada", "GET /v3/profile", "", 200, []string{`{}`}},
		{"EmailAsIdentifierIsTheEmail", "spot", "PUT /v3/users/eve@example.com", `{}`, 200, []string{`"email":"eve@example.com"`}},
		// Engagespot, guide "User" of 1.3: createOrUpdateUser of the client library.
		{"CreateOrUpdate", "spot", "PUT /v3/users/jane", `{"email":"jane@example.com","phoneNumber":"+15550100002"}`, 200, []string{`"identifier":"jane"`, `"phoneNumber":"+15550100002"`}},
		{"CreateOrUpdateAgain", "spot", "PUT /v3/users/jane", `{"firstName":"Jane"}`, 200, []string{`"firstName":"Jane"`, `"email":"jane@example.com"`}},
		{"PhoneNumberIsE164", "spot", "PUT /v3/users/jane", `{"phoneNumber":"555"}`, 400, []string{`"status":"error"`, `"message":["`}},
		// Engage, page "Users".
		{"Create", "engage key", "POST /v1/users", `{"id":"u144","first_name":"Akinyele","last_name":"Jinadu","email":"aj@example.com","meta":{"plan":"pro","age":34},"created_at":"2021-01-12T05:24:39.062+00:00"}`, 201, []string{`"uid":"u144"`, `"first_name":"Akinyele"`, `"last_name":"Jinadu"`, `"number":null`, `"devices":[]`, `"lists":[]`, `"segments":[]`, `"meta":{"age":34,"plan":"pro"}`, `"created_at":"2021-01-12T05:24:39.062+00:00"`}},
		{"OnlyLettersAndDigits", "engage key", "POST /v1/users", `{"id":"u-144"}`, 400, []string{`{"error":"id `}},
		{"IdIsRequired", "engage key", "POST /v1/users", `{"first_name":"x"}`, 400, []string{`{"error":"id is required`}},
		{"Retrieve", "engage", "GET /v1/users/u144", "", 200, []string{`"email":"aj@example.com"`}},
		{"UpdateMeta", "engage key", "PUT /v1/users/u144", `{"meta":{"plan":"custom","coverage":20},"created_at":"2021-01-12T05:24:39.062+00:00"}`, 200, []string{`"meta":{"age":34,"coverage":20,"plan":"custom"}`}},
		{"UpdateCreates", "engage key", "PUT /v1/users/u145", `{"first_name":"New"}`, 200, []string{`"uid":"u145"`}},
		{"EmailNeedsTheSecret", "engage key", "PUT /v1/users/u144", `{"email":"other@example.com"}`, 403, []string{`{"error":"`}},
		{"EmailWithTheSecret", "engage", "PUT /v1/users/u144", `{"email":"other@example.com"}`, 200, []string{`"email":"other@example.com"`}},
		{"Event", "engage key", "POST /v1/users/u144/events", `{"event":"Add to cart","timestamp":"2020-05-30T09:30:10Z","properties":{"product":"T123","currency":"USD","amount":12.99}}`, 200, []string{`{"status":"ok"}`}},
		{"EventWithValue", "engage key", "POST /v1/users/u144/events", `{"event":"Paid","value":49.99}`, 200, []string{`{"status":"ok"}`}},
		{"EventOfWrongValue", "engage key", "POST /v1/users/u144/events", `{"event":"Paid","value":[1]}`, 400, []string{`{"error":"value `}},
		{"List", "engage", "GET /v1/users?limit=2", "", 200, []string{`{"data":[`, `"has_more":true`}},
		{"ListOneWayOnly", "engage", "GET /v1/users?after_id=000000000000000000000001&before_id=000000000000000000000002", "", 400, []string{`{"error":"`}},
		// Engagespot API 3.0.0.
		{"CreateUser", "spot", "POST /v3/users", `{"identifier":"jack","profile":{"name":"Jack"}}`, 200, []string{`"identifier":"jack"`, `"name":"Jack"`}},
		{"CreateUserWithoutIdentifier", "spot", "POST /v3/users", `{"profile":{}}`, 400, []string{`"status":"error","message":["identifier `}},
		{"NoCredential", "nobody", "GET /v3/profile", "", 401, []string{`"status":"error","message":"`}},
		{"SetProfile", "spot ada", "PUT /v3/profile", `{"name":"Jack","email":"jack@titanic.com"}`, 200, []string{`"name":"Jack"`, `"email":"jack@titanic.com"`}},
		{"PatchProfile", "spot ada", "PATCH /v3/profile", `[{"op":"replace","path":"/name","value":"Rose"}]`, 200, []string{`"name":"Rose"`}},
		{"ProfileByUserID", "spot ada", "GET /v3/profile", "", 200, []string{`"name":"Rose"`}},
		{"UsersAreNotForUsers", "spot ada", "PUT /v3/users/jack", `{"a":1}`, 403, []string{`"status":"error"`}},
		{"DeleteUser", "spot", "DELETE /v3/users/jack", "", 202, nil},
		{"DeletedUserIsGone", "fyno", "GET /v1/shop/test/profiles/jack", "", 400, nil},
		// Fyno, page "User Profiles - Overview".
		{"CreateProfile", "fyno", "POST /v1/shop/test/profiles", `{"distinct_id":"U1","name":"Una Uno","channel":{"email":"u1@example.com","sms":"+447946000001"}}`, 201, []string{`"status":"ok"`}},
		{"DistinctIDIsUnique", "fyno", "POST /v1/shop/test/profiles", `{"distinct_id":"U1"}`, 400, []string{`"status":"error"`}},
		{"TestAndLiveAreApart", "fyno live", "POST /v1/shop/live/profiles", `{"distinct_id":"U1"}`, 201, nil},
		{"GeneralAndChannelProperties", "fyno", "GET /v1/shop/test/profiles/U1", "", 200, []string{`"name":"Una Uno"`, `"country_code":"GB"`, `"timezone":`, `"status":1`, `"created_at":`, `"updated_at":`, `"email":"u1@example.com"`, `"version":"test"`}},
		{"CustomProperty", "fyno", "POST /v1/shop/test/profiles/properties/set", `{"distinct_id":"U1","$set":{"plan":"gold"}}`, 202, []string{`"request_id":`}},
		{"CustomPropertyIsThere", "fyno", "GET /v1/shop/test/profiles/U1", "", 200, []string{`"properties":{"plan":"gold"}`}},
		{"NoCrossing", "fyno", "GET /v1/shop/live/profiles/U1", "", 401, []string{`"_message":"Invalid API details"`}},
		{"LiveHasNothingOfTest", "fyno live", "GET /v1/shop/live/profiles/U1", "", 200, []string{`"name":null`, `"properties":{}`, `"version":"live"`}},
		{"Disable", "fyno", "PUT /v1/shop/test/profiles/U1", `{"status":0}`, 200, []string{`"status":"ok"`}},
		{"DisabledIsShown", "fyno", "GET /v1/shop/test/profiles/U1", "", 200, []string{`"status":0`}},
		{"Preferences", "fyno", "GET /v1/shop/test/subscriptions/preference?distinct_id=U1", "", 200, []string{`"result":`, `"meta":`}},
	} {
		t.Run(row.says, func(t *testing.T) {
			status, answer := s.call(t, row.as, row.request, row.body)
			if status != row.status {
				t.Errorf("%s is answered %d %s, want %d", row.request, status, answer, row.status)
			}
			for _, want := range row.want {
				if !strings.Contains(answer, want) {
					t.Errorf("%s is answered %s, without %s", row.request, answer, want)
				}
			}
		})
	}
	for identifier, want := range map[string]string{"U1": "U1", "u144": "u144", "jane": "jane", "eve@example.com": "eve@example.com", "ada": "ada"} {
		user, _ := s.query(t, s.keys.SecretKey, `{ user(identifier: "`+identifier+`") { identifier } }`)["user"].(map[string]any)
		if user["identifier"] != want {
			t.Errorf("GraphQL does not know %s", identifier)
		}
	}
}
