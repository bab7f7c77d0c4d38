package graph_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"carillon/store/storetest"
)

// replays has, for each mutation, what it is called with, one member that
// makes it another input, and what of the payload is compared.
var replays = map[string]struct{ input, change, payload string }{
	"identifyUser":          {`"identifier":"new","firstName":"A"`, `"lastName":"B"`, `user { id profile { version } } created`},
	"identifyUsers":         {`"users":[{"identifier":"new"},{"identifier":"","email":"x"}]`, `"users":[{"identifier":"bob"}]`, `results { user { id } created userErrors { message } }`},
	"patchProfile":          {`"user":"ada","set":{"x":1}`, `"expectedVersion":1`, `user { id profile { version attributes } }`},
	"setUserEnabled":        {`"user":"ada","enabled":false`, `"enabled":true`, `user { enabled updatedAt }`},
	"deleteUser":            {`"user":"ada"`, `"user":"bob"`, `deletedUserId`},
	"eraseUser":             {`"user":"ada"`, `"user":"bob"`, `erasure { id hash createdAt }`},
	"cancelImport":          {`"id":"@shop/import"`, `"id":"imp_x"`, `import { id status finishedAt }`},
	"registerDevice":        {`"user":"ada","deviceId":"d","platform":"WEB"`, `"browser":"Firefox"`, `device { id createdAt lastUsedAt }`},
	"removeDevice":          {`"user":"ada","deviceId":"phone-1"`, `"deviceId":"other"`, `removedDeviceId`},
	"updateUser":            {`"user":"ada","userKind":"ACCOUNT"`, `"archived":true`, `user { id userKind updatedAt }`},
	"mergeUsers":            {`"from":"bob","into":"ada"`, `"into":"eve"`, `user { id formerIdentifiers } merge { id decisions { what moved } }`},
	"joinAccount":           {`"user":"ada","account":"bob","role":"owner"`, `"role":"x"`, `user { id memberships { role account { id } } }`},
	"leaveAccount":          {`"user":"eve","account":"bob"`, `"account":"ada"`, `user { id }`},
	"trackEvents":           {`"user":"ada","events":[{"name":"Paid","value":1}]`, `"events":[{"name":"Paid"}]`, `events { id occurredAt }`},
	"setProperty":           {`"name":"plan","shown":false`, `"shown":true`, `property { name shown firstSeenAt }`},
	"addAddress":            {`"user":"ada","channel":"SLACK","address":"U1"`, `"address":"U2"`, `address { id lastUsedAt }`},
	"setAddressEnabled":     {`"id":"@shop/eve/slack","enabled":false`, `"enabled":true`, `address { id enabled }`},
	"removeAddress":         {`"id":"@shop/eve/slack"`, `"id":"@shop/eve/teams"`, `removedAddressId`},
	"createProvider":        {`"kind":"recorder","channel":"SMS","enabled":false`, `"name":"x"`, `provider { id createdAt }`},
	"updateProvider":        {`"id":"@shop/mail","name":"N"`, `"name":"M"`, `provider { id name updatedAt }`},
	"deleteProvider":        {`"id":"@shop/mail"`, `"id":"@shop/spare"`, `deletedProviderId`},
	"orderProviders":        {`"channel":"EMAIL","ids":["@shop/spare","@shop/mail"]`, `"ids":["@shop/mail","@shop/spare"]`, `providers { id position }`},
	"testProvider":          {`"id":"@shop/mail","to":"x@example.com"`, `"to":"y@example.com"`, `works errorClass detail`},
	"retryDelivery":         {`"id":"@welcome/ada/first"`, `"id":"@welcome/ada/second"`, `delivery { id updatedAt }`},
	"retryDeliveries":       {`"filter":{"channels":["EMAIL"]}`, `"filter":{"channels":["SMS"]}`, `retried`},
	"suppressAddress":       {`"channel":"EMAIL","address":"x@example.com"`, `"address":"y@example.com"`, `suppression { id createdAt }`},
	"removeSuppression":     {`"id":"@shop/gone"`, `"id":"@shop/away"`, `suppression { id address }`},
	"createWebhookEndpoint": {`"url":"https://hooks.example.com/1"`, `"url":"https://hooks.example.com/2"`, `webhookEndpoint { id createdAt }`},
	"updateWebhookEndpoint": {`"id":"@shop/hook","description":"D"`, `"enabled":false`, `webhookEndpoint { id description updatedAt }`},
	"rotateWebhookSecret":   {`"id":"@shop/hook"`, `"overlapSeconds":60`, `webhookEndpoint { id previousSecretUntil }`},
	"deleteWebhookEndpoint": {`"id":"@shop/hook"`, `"id":"@other/hook"`, `deletedWebhookEndpointId`},
	"replayWebhookEvent":    {`"endpoint":"@shop/hook","id":"@shop/hook/event"`, `"id":"whe_x"`, `webhookEvent { id state }`},
	"replayWebhookEvents":   {`"endpoint":"@shop/hook","since":"2026-01-01T00:00:00Z","states":["SENT"]`, `"states":["FAILED"]`, `replayedEvents`},
	"createCategory":        {`"identifier":"news","name":"News"`, `"name":"Other"`, `category { id name }`},
	"updateCategory":        {`"identifier":"comments","name":"News"`, `"hideInInbox":true`, `category { id name }`},
	"deleteCategory":        {`"identifier":"comments"`, `"identifier":"billing"`, `deletedCategoryId`},
	"createTemplate":        {`"identifier":"order","name":"Order","content":{"title":"T"}`, `"name":"Other"`, `template { id version createdAt }`},
	"updateTemplate":        {`"identifier":"receipt","content":{"title":"T"}`, `"name":"Other"`, `template { id version updatedAt }`},
	"deleteTemplate":        {`"identifier":"receipt"`, `"identifier":"reminder"`, `deletedTemplateId`},
	"createTopic":           {`"identifier":"deals","name":"Deals"`, `"name":"Other"`, `topic { id name }`},
	"updateTopic":           {`"identifier":"news","name":"Deals"`, `"name":"Other"`, `topic { id name updatedAt }`},
	"deleteTopic":           {`"identifier":"news"`, `"identifier":"olds"`, `deletedTopicId`},
	"subscribeToTopic":      {`"topic":"news","users":[{"identifier":"bob"},{"identifier":"x"}]`, `"users":[{"identifier":"bob","channels":["EMAIL"]}]`, `topic { id } changed notFound`},
	"unsubscribeFromTopic":  {`"topic":"news","users":["ada","x"]`, `"users":["ada"]`, `topic { id } changed notFound`},
	"createSegment":         {`"identifier":"vips","name":"V","rule":{"enabled":true}`, `"name":"Other"`, `segment { id name }`},
	"updateSegment":         {`"identifier":"named","name":"N"`, `"name":"Other"`, `segment { id name updatedAt }`},
	"deleteSegment":         {`"identifier":"named"`, `"identifier":"x"`, `deletedSegmentId`},
	"setSegmentSuppression": {`"segment":"named","user":"ada","suppressed":true`, `"suppressed":false`, `user { id }`},
	"setPreferences":        {`"user":"ada","changes":[{"category":"comments","enabled":false}]`, `"changes":[{"channel":"EMAIL","enabled":false}]`, `preferences { category { id } channels { enabled } }`},
	"sendNotification":      {`"to":{"users":["ada"]},"title":"T"`, `"body":"B"`, `send { id requestId } plan { identifier notification { id } } skipped { identifier }`},
	"recallSend":            {`"id":"@welcome"`, `"id":"@later"`, `send { id status recalledAt }`},
	"recallNotifications":   {`"ids":["@welcome/ada","junk"]`, `"ids":["@invoice/ada"]`, `recalledIds notFound`},
	"editSend":              {`"id":"@welcome","title":"T"`, `"body":"B"`, `send { id title edition editedAt }`},
	"cancelSend":            {`"id":"@later"`, `"id":"@welcome"`, `send { id status }`},
	"markNotifications":     {`"user":"ada","ids":["@comment/ada","junk"],"as":"READ"`, `"as":"SEEN"`, `notifications { id readAt } notFound counters { unread } position`},
	"markAllNotifications":  {`"user":"ada","as":"READ"`, `"filter":{"unread":true}`, `affected counters { unread } position`},
	"deleteNotifications":   {`"user":"ada","ids":["@comment/ada","junk"]`, `"ids":["@invoice/ada"]`, `deleted notFound counters { total } position`},
	"createCredential":      {`"kind":"SIGNING_SECRET"`, `"name":"x"`, `credential { id hint }`},
	"rotateCredential":      {`"id":"@shop.secretKey"`, `"overlapSeconds":60`, `credential { id hint } replaced { id expiresAt }`},
	"revokeCredential":      {`"id":"@shop.tokenKey"`, `"id":"@shop.secretKey"`, `credential { id revokedAt }`},
}

// TestEveryMutationReplays calls each mutation twice with one key, with time
// between: the second answer is the first, and nothing happened twice. Then the
// same key with another input is refused.
func TestEveryMutationReplays(t *testing.T) {
	t.Parallel()
	for _, f := range loadSchema(t, "../schema.graphqls").Mutation.Fields {
		if strings.HasPrefix(f.Name, "__") || f.Name == "previewTemplate" { // which changes nothing
			continue
		}
		c, ok := replays[f.Name]
		if !ok {
			t.Errorf("%s has no line above", f.Name)
			continue
		}
		t.Run(f.Name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, storetest.SQLite(t))
			query := fmt.Sprintf(`mutation($input: %s!) { it: %s(input: $input) { %s replayed userErrors { code path } } }`,
				f.Arguments[0].Type.NamedType, f.Name, c.payload)
			call := func(input string) map[string]any {
				w.clock.pass(1e9)
				_, body := w.post(t, request{as: "shop", query: query, variables: json.RawMessage(`{"input":{` + input + `,"idempotencyKey":"k"}}`)}, nil)
				var answer struct {
					Data struct{ It map[string]any }
				}
				if err := json.Unmarshal(body, &answer); err != nil || answer.Data.It == nil {
					t.Fatalf("answer %s", body)
				}
				return answer.Data.It
			}
			first, second := call(c.input), call(c.input)
			if errs := first["userErrors"].([]any); len(errs) > 0 || first["replayed"] != false {
				t.Fatalf("the first call: %v", first)
			}
			if second["replayed"] != true {
				t.Errorf("the second answer is not a replayed one: %v", second)
			}
			first["replayed"] = true
			if !reflect.DeepEqual(first, second) {
				t.Errorf("the second answer is\n%v\nwant\n%v", second, first)
			}
			name, _, _ := strings.Cut(c.change, ":")
			other := call(without(c.input, name) + c.change)
			want := []any{map[string]any{"code": "IDEMPOTENCY_KEY_REUSED", "path": []any{"idempotencyKey"}}}
			if !reflect.DeepEqual(other["userErrors"], want) {
				t.Errorf("another input under the key: %v, want %v", other, want)
			}
		})
	}
}

// without leaves a member out of the members of an object, and ends with a
// comma when any are left.
func without(members, name string) string {
	var m map[string]json.RawMessage
	if err := json.Unmarshal([]byte("{"+members+"}"), &m); err != nil {
		panic(err)
	}
	delete(m, strings.Trim(name, `"`))
	if len(m) == 0 {
		return ""
	}
	text, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return string(text[1:len(text)-1]) + ","
}
