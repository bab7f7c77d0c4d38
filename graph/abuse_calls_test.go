package graph_test

import "carillon/model"

// abuseCall is a call that works, from which wrong ones are made. A root field
// may have several.
type abuseCall struct {
	// on is the type of the field when it is not a root field, and within the
	// query it stands in, with %s for the field.
	on, within string

	field string
	args  string // JSON by the names of the arguments; "#" in a text becomes a number of its own
	// before is a mutation that makes what this call uses up, by root field and
	// arguments; "$" in args becomes what it answered at the path.
	before, beforeArgs, path string
	// undo is a mutation that takes away what a call made, by its id, so that
	// no limit is reached; undoPath is where the answer has the id.
	undo, undoPath string
	// user says that user credentials may make the call, and want it with these
	// arguments; "" is for those above.
	user     bool
	userArgs string
}

// abuseCalls has every root field that takes arguments; the test says which one
// is missing.
var abuseCalls = []abuseCall{
	{field: "node", args: `{"id":"@shop/ada"}`, user: true},
	{field: "user", args: `{"identifier":"ada"}`, user: true},
	{field: "users", args: `{"first":2,"filter":{"enabled":true,"identifierPrefix":"a","email":"ada@example.com"},"orderBy":{"field":"CREATED_AT","direction":"ASC"}}`},
	{field: "users", args: `{"last":2,"orderBy":{"field":"IDENTIFIER","direction":"DESC"}}`},
	{field: "users", args: `{"first":2,"filter":{"archived":false,"userKind":"PERSON","search":"ad","createdSince":"2020-01-01T00:00:00Z","createdUntil":"2030-01-01T00:00:00Z","signedUpSince":"2020-01-01T00:00:00Z","signedUpUntil":"2030-01-01T00:00:00Z",
		"topic":"news","account":"ada","properties":[{"name":"firstName","equals":"Ada"},{"name":"email","contains":"ada"}]},"orderBy":{"field":"EMAIL","direction":"ASC"}}`},
	{field: "notification", args: `{"id":"@welcome/ada"}`, user: true},
	{field: "notifications", args: `{"first":2,"filter":{"user":"ada","send":"@welcome","categories":["comments"]}}`},
	{field: "notifications", args: `{"last":2}`},
	{field: "send", args: `{"id":"@welcome"}`},
	{field: "sends", args: `{"first":2,"filter":{"statuses":["SENT"],"categories":["comments"]}}`},
	{field: "scheduledSends", args: `{"first":2}`},
	{field: "explainPreference", args: `{"user":"ada","category":"comments","channel":"IN_APP"}`, user: true},

	{
		field: "identifyUser", args: `{"input":{"identifier":"new #","profile":{"plan":"gold"},"firstName":"A","lastName":"B","email":"c@example.com","phoneNumber":"+15550000000","locale":"en-GB","timeZone":"Europe/London","idempotencyKey":"k#"}}`,
		user: true, userArgs: `{"input":{"identifier":"ada","firstName":"A"}}`,
	},
	{field: "identifyUsers", args: `{"input":{"users":[{"identifier":"new #","profile":{"plan":"gold"},"firstName":"A","email":"c@example.com"},{"identifier":"other #"}],"idempotencyKey":"k#"}}`},
	{field: "patchProfile", args: `{"input":{"user":"ada","set":{"a":1},"unset":["b"],"idempotencyKey":"k#"}}`, user: true, userArgs: `{"input":{"set":{"a":1},"unset":["b"]}}`},
	{field: "patchProfile", args: `{"input":{"user":"bob","mergePatch":{"a":{"b":1}}}}`, user: true, userArgs: `{"input":{"mergePatch":{"a":1}}}`},
	{field: "patchProfile", args: `{"input":{"user":"bob","jsonPatch":[{"op":"add","path":"/x","value":1}]}}`, user: true, userArgs: `{"input":{"jsonPatch":[{"op":"add","path":"/x","value":1}]}}`},
	{field: "setUserEnabled", args: `{"input":{"user":"eve","enabled":true,"idempotencyKey":"k#"}}`},
	{field: "deleteUser", args: `{"input":{"user":"victim #","idempotencyKey":"k#"}}`, before: "identifyUser", beforeArgs: `{"input":{"identifier":"victim #"}}`},
	{field: "eraseUser", args: `{"input":{"user":"victim #","idempotencyKey":"k#"}}`, before: "identifyUser", beforeArgs: `{"input":{"identifier":"victim #"}}`},
	{field: "erasure", args: `{"id":"era_0"}`},
	{field: "import", args: `{"id":"imp_0"}`},
	{field: "cancelImport", args: `{"input":{"id":"@shop/import","idempotencyKey":"k#"}}`},
	{field: "exportUser", args: `{"id":"@shop/ada"}`},
	{
		field: "registerDevice", args: `{"input":{"user":"ada","deviceId":"phone-1","platform":"IOS","browser":"Safari","token":"t#","webPushSubscription":null,"provider":"apns","enabled":true,"idempotencyKey":"k#"}}`,
		user: true, userArgs: `{"input":{"deviceId":"phone-1","platform":"IOS","token":"t#"}}`,
	},
	{
		field: "registerDevice", args: `{"input":{"user":"bob","deviceId":"web","platform":"WEB","webPushSubscription":{"endpoint":"https://fcm.googleapis.com/x","keys":{"p256dh":"BNcRdreALRFXTkOOUHK1EtK2wtaz5Ry4YfYCA_0QTpQtUbVlUls0VJXg7A8u-Ts1XbjhazAkj7I99e8QcYP7DkM","auth":"tBHItJI5svbpez7KI4CCXg"}}}}`,
		user: true, userArgs: `{"input":{"deviceId":"web","platform":"WEB"}}`,
	},
	{
		field: "removeDevice", args: `{"input":{"user":"ada","deviceId":"phone-2","idempotencyKey":"k#"}}`, before: "registerDevice", beforeArgs: `{"input":{"user":"ada","deviceId":"phone-2","platform":"IOS"}}`,
		user: true, userArgs: `{"input":{"deviceId":"phone-2"}}`,
	},
	{field: "updateUser", args: `{"input":{"user":"bob","userKind":"ACCOUNT","archived":false,"signedUpAt":"2026-01-20T00:00:00Z","newIdentifier":"bob","idempotencyKey":"k#"}}`},
	{field: "mergeUsers", args: `{"input":{"from":"victim #","into":"bob","dryRun":true,"idempotencyKey":"k#"}}`, before: "identifyUser", beforeArgs: `{"input":{"identifier":"victim #"}}`},
	{field: "joinAccount", args: `{"input":{"user":"bob","account":"ada","role":"owner","idempotencyKey":"k#"}}`},
	{field: "leaveAccount", args: `{"input":{"user":"bob","account":"eve","idempotencyKey":"k#"}}`, before: "joinAccount", beforeArgs: `{"input":{"user":"bob","account":"eve"}}`},
	{field: "trackEvents", args: `{"input":{"user":"bob","events":[{"name":"Paid","value":1,"properties":{"a":"b"},"occurredAt":"2026-01-01T00:00:00Z"}],"idempotencyKey":"k#"}}`},
	{field: "setProperty", args: `{"input":{"name":"plan","type":"TEXT","shown":true,"idempotencyKey":"k#"}}`},
	{field: "addAddress", args: `{"input":{"user":"bob","channel":"EMAIL","address":"bob@example.com","platform":"OTHER","provider":"smtp","enabled":true,"idempotencyKey":"k#"}}`},
	{field: "setAddressEnabled", args: `{"input":{"id":"$","enabled":false,"idempotencyKey":"k#"}}`, before: "addAddress", beforeArgs: `{"input":{"user":"bob","channel":"SLACK","address":"U7"}}`, path: "address/id"},
	{field: "removeAddress", args: `{"input":{"id":"$","idempotencyKey":"k#"}}`, before: "addAddress", beforeArgs: `{"input":{"user":"bob","channel":"TEAMS","address":"U7"}}`, path: "address/id"},
	{field: "explainDelivery", args: `{"notification":"@welcome/ada","channel":"EMAIL"}`, user: true},
	{field: "delivery", args: `{"id":"@welcome/ada/first"}`, user: true},
	{field: "deliveries", args: `{"first":2,"filter":{"states":["FAILED"],"channels":["EMAIL"],"provider":"@shop/mail","user":"ada","send":"@welcome","since":"2026-01-01T00:00:00Z","until":"2026-02-01T00:00:00Z"}}`},
	{field: "deliveries", args: `{"last":2}`},
	{field: "suppressions", args: `{"first":2,"filter":{"channel":"EMAIL","reason":"MANUAL","address":"gone@example.com"}}`},
	{field: "suppressions", args: `{"last":2}`},
	{field: "createProvider", args: `{"input":{"kind":"recorder","channel":"VOICE","name":"N","config":{"from":"x"},"secrets":{"token":"t"},"enabled":false,"concurrency":2,"perSecond":3,"idempotencyKey":"k#"}}`},
	{field: "updateProvider", args: `{"input":{"id":"@shop/mail","name":"N#","config":{"from":"x"},"secrets":{"token":"t"},"enabled":false,"paused":false,"concurrency":2,"perSecond":3,"idempotencyKey":"k#"}}`},
	{field: "deleteProvider", args: `{"input":{"id":"$","idempotencyKey":"k#"}}`, before: "createProvider", beforeArgs: `{"input":{"kind":"recorder","channel":"VOICE","enabled":false}}`, path: "provider/id"},
	{field: "orderProviders", args: `{"input":{"channel":"EMAIL","ids":["@shop/spare","@shop/mail"],"idempotencyKey":"k#"}}`},
	{field: "testProvider", args: `{"input":{"id":"@shop/mail","to":"somebody@example.com","platform":"IOS","idempotencyKey":"k#"}}`},
	{field: "retryDeliveries", args: `{"input":{"filter":{"states":["FAILED"],"channels":["SMS"],"provider":"@shop/mail","user":"ada","send":"@welcome","since":"2026-01-01T00:00:00Z","until":"2026-02-01T00:00:00Z"},"idempotencyKey":"k#"}}`},
	{field: "retryDelivery", args: `{"input":{"id":"@welcome/ada/first","idempotencyKey":"k#"}}`},
	{field: "suppressAddress", args: `{"input":{"channel":"EMAIL","address":"away@example.com","reason":"COMPLAINT","detail":"D","expiresAt":"2026-02-01T00:00:00Z","idempotencyKey":"k#"}}`},
	{field: "removeSuppression", args: `{"input":{"id":"$","idempotencyKey":"k#"}}`, before: "suppressAddress", beforeArgs: `{"input":{"channel":"EMAIL","address":"x@example.com"}}`, path: "suppression/id"},
	{field: "createWebhookEndpoint", args: `{"input":{"url":"https://hooks.example.com/#","description":"D","types":["user.merged"],"enabled":false,"secret":"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw","idempotencyKey":"k#"}}`, undo: "deleteWebhookEndpoint", undoPath: "webhookEndpoint/id"},
	{field: "updateWebhookEndpoint", args: `{"input":{"id":"@shop/hook","url":"https://hooks.example.com/#","description":"D","types":["user.merged"],"enabled":false,"idempotencyKey":"k#"}}`},
	{field: "rotateWebhookSecret", args: `{"input":{"id":"@shop/hook","secret":"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw","overlapSeconds":60,"idempotencyKey":"k#"}}`},
	{field: "deleteWebhookEndpoint", args: `{"input":{"id":"$","idempotencyKey":"k#"}}`, before: "createWebhookEndpoint", beforeArgs: `{"input":{"url":"https://hooks.example.com"}}`, path: "webhookEndpoint/id"},
	{field: "webhookEvents", args: `{"endpoint":"@shop/hook","states":["SENT"],"first":2}`},
	{field: "webhookEvents", args: `{"endpoint":"@shop/hook","last":2}`},
	{field: "replayWebhookEvent", args: `{"input":{"endpoint":"@shop/hook","id":"@shop/hook/event","idempotencyKey":"k#"}}`},
	{field: "replayWebhookEvents", args: `{"input":{"endpoint":"@shop/hook","since":"2026-01-01T00:00:00Z","states":["FAILED"],"idempotencyKey":"k#"}}`},
	{field: "createCategory", args: `{"input":{"identifier":"c#","name":"N","defaultEnabled":true,"channelDefaults":[{"channel":"IN_APP","enabled":true}],"requiredChannels":["EMAIL"],"hideInInbox":false,"hideInPreferences":false,"idempotencyKey":"k#"}}`},
	{field: "updateCategory", args: `{"input":{"identifier":"comments","name":"N#","defaultEnabled":true,"channelDefaults":[{"channel":"IN_APP","enabled":true}],"requiredChannels":["EMAIL"],"hideInInbox":false,"hideInPreferences":false,"idempotencyKey":"k#"}}`},
	{field: "deleteCategory", args: `{"input":{"identifier":"d#","idempotencyKey":"k#"}}`, before: "createCategory", beforeArgs: `{"input":{"identifier":"d#","name":"D"}}`},
	{
		field: "setPreferences", args: `{"input":{"user":"ada","changes":[{"category":"comments","channel":"IN_APP","enabled":false}],"idempotencyKey":"k#"}}`,
		user: true, userArgs: `{"input":{"changes":[{"category":"comments","channel":"IN_APP","enabled":false}]}}`,
	},
	{field: "sendNotification", args: `{"input":{"to":{"users":["ada","bob"],"inlineUsers":[{"identifier":"in line","firstName":"I","profile":{"a":1}}]},"title":"T#","body":"B","icon":"https://example.com/i.png","url":"/u","category":"comments","data":{"a":1},
		"blocks":[{"id":"b1","type":"BUTTON","text":"x","variant":"PRIMARY","link":"/l","externalLink":true,"src":"https://example.com/s.png"}],"channels":["IN_APP"],"onUnknown":"SKIP","dryRun":false,"collapseKey":"c","dedupeKey":"d#","dedupeSeconds":60,"escalations":[{"channel":"SMS","afterSeconds":60,"unless":"READ"}],"idempotencyKey":"k#"}}`},
	{field: "sendNotification", args: `{"input":{"to":{"users":["ada"]},"title":"T","sendAt":"2026-01-20T00:00:00Z","expiresAt":"2026-01-30T00:00:00Z","onUnknown":"REJECT"}}`},
	{field: "sendNotification", args: `{"input":{"to":{"users":["ada"]},"title":"T","onUnknown":"CREATE","dryRun":true}}`},
	{field: "recallSend", args: `{"input":{"id":"$","idempotencyKey":"k#"}}`, before: "sendNotification", beforeArgs: `{"input":{"to":{"users":["ada"]},"title":"T"}}`, path: "send/id"},
	{field: "recallNotifications", args: `{"input":{"ids":["$"],"idempotencyKey":"k#"}}`, before: "sendNotification", beforeArgs: `{"input":{"to":{"users":["ada"]},"title":"T"}}`, path: "plan/0/notification/id"},
	{field: "editSend", args: `{"input":{"id":"@welcome","title":"T#","body":"B","icon":"https://example.com/i.png","url":"/u","data":{"a":1},
		"blocks":[{"id":"b1","type":"BUTTON","text":"x","variant":"PRIMARY","link":"/l","externalLink":true,"src":"https://example.com/s.png"}],"idempotencyKey":"k#"}}`},
	{field: "cancelSend", args: `{"input":{"id":"$","idempotencyKey":"k#"}}`, before: "sendNotification", beforeArgs: `{"input":{"to":{"users":["ada"]},"title":"T","sendAt":"2026-01-20T00:00:00Z"}}`, path: "send/id"},
	{field: "markNotifications", args: `{"input":{"ids":["@welcome/bob"],"as":"READ","user":"bob","idempotencyKey":"k#"}}`, user: true, userArgs: `{"input":{"ids":["@welcome/ada"],"as":"READ"}}`},
	{
		field: "markAllNotifications", args: `{"input":{"as":"READ","user":"ada","filter":{"unseen":true,"unread":true,"archived":false,"categories":["comments"]},"idempotencyKey":"k#"}}`,
		user: true, userArgs: `{"input":{"as":"SEEN"}}`,
	},
	{field: "deleteNotifications", args: `{"input":{"ids":["@welcome/bob"],"user":"bob","idempotencyKey":"k#"}}`, user: true, userArgs: `{"input":{"ids":["@welcome/ada"]}}`},
	{field: "createCredential", args: `{"input":{"kind":"API_SECRET","name":"N","idempotencyKey":"k#","expiresAt":"2026-02-01T00:00:00Z"}}`, undo: "revokeCredential", undoPath: "credential/id"},
	{field: "createCredential", args: `{"input":{"kind":"SIGNING_SECRET","secret":"0123456789abcdef0123456789abcdef-#"}}`, undo: "revokeCredential", undoPath: "credential/id"},
	{field: "rotateCredential", args: `{"input":{"id":"$","overlapSeconds":0,"idempotencyKey":"k#"}}`, before: "createCredential", beforeArgs: `{"input":{"kind":"API_SECRET","expiresAt":"2026-01-03T00:00:00Z"}}`, path: "credential/id", undo: "revokeCredential", undoPath: "credential/id"},
	{field: "revokeCredential", args: `{"input":{"id":"$","idempotencyKey":"k#"}}`, before: "createCredential", beforeArgs: `{"input":{"kind":"API_SECRET"}}`, path: "credential/id"},

	{field: "segments", args: `{"first":2}`},
	{field: "segment", args: `{"identifier":"named"}`},
	{field: "previewSegment", args: `{"rule":{"userKind":"PERSON"},"first":2}`},
	{field: "createSegment", args: `{"input":{"identifier":"s#","name":"S","description":"D","rule":{"attribute":{"name":"tier","startsWith":"g"}},"idempotencyKey":"k#"}}`},
	{field: "createSegment", args: `{"input":{"identifier":"s#","name":"S","rule":{"event":{"name":"Paid","withinDays":3,"where":[{"name":"price","atLeast":1.5}]}}}}`},
	{field: "updateSegment", args: `{"input":{"identifier":"named","name":"N#","description":"D","rule":{"not":{"created":{"after":"2026-01-01T00:00:00Z"}}},"idempotencyKey":"k#"}}`},
	{field: "deleteSegment", args: `{"input":{"identifier":"s#","idempotencyKey":"k#"}}`, before: "createSegment", beforeArgs: `{"input":{"identifier":"s#","name":"S","rule":{"enabled":true}}}`},
	{field: "setSegmentSuppression", args: `{"input":{"segment":"named","user":"ada","suppressed":true,"idempotencyKey":"k#"}}`},
	{field: "topics", args: `{"first":2}`},
	{field: "createTopic", args: `{"input":{"identifier":"t#","name":"T","description":"D","doubleOptIn":true,"redirectUrl":"https://example.com/","idempotencyKey":"k#"}}`},
	{field: "updateTopic", args: `{"input":{"identifier":"news","name":"N#","description":"D","doubleOptIn":true,"redirectUrl":"https://example.com/","archived":false,"idempotencyKey":"k#"}}`},
	{field: "templates", args: `{"first":2}`},
	{field: "template", args: `{"identifier":"none"}`},
	{field: "createTemplate", args: `{"input":{"identifier":"t#","name":"T","content":{"title":"T {{data.a}}","body":"B","html":"<p>","url":"/u","icon":"https://example.com/i.png"},"channels":[{"channel":"SMS","content":{"title":"S","body":"B","url":"/u","icon":"https://example.com/i.png"}}],"idempotencyKey":"k#"}}`},
	{
		field: "updateTemplate", args: `{"input":{"identifier":"u#","name":"T","content":{"title":"T","body":"B","html":"<p>","url":"/u","icon":"https://example.com/i.png"},"channels":[{"channel":"SMS","content":{"title":"S","body":"B","url":"/u","icon":"https://example.com/i.png"}}],"expectedVersion":1,"idempotencyKey":"k#"}}`,
		before: "createTemplate", beforeArgs: `{"input":{"identifier":"u#","name":"T","content":{"title":"T"}}}`,
	},
	{field: "deleteTemplate", args: `{"input":{"identifier":"d#","idempotencyKey":"k#"}}`, before: "createTemplate", beforeArgs: `{"input":{"identifier":"d#","name":"T","content":{"title":"T"}}}`},
	{field: "previewTemplate", args: `{"input":{"content":{"title":"T {{data.a}}","body":"B","html":"<p>","url":"/u","icon":"https://example.com/i.png"},"channels":[{"channel":"SMS","content":{"title":"S","body":"B","url":"/u","icon":"https://example.com/i.png"}}],"user":"ada","data":{"a":1},"show":["SMS"],"idempotencyKey":"k#"}}`},
	{field: "previewTemplate", args: `{"input":{"template":"p#"}}`, before: "createTemplate", beforeArgs: `{"input":{"identifier":"p#","name":"T","content":{"title":"T"}}}`},
	{field: "sendNotification", args: `{"input":{"to":{"users":["ada"]},"template":"s#","data":{"a":1}}}`, before: "createTemplate", beforeArgs: `{"input":{"identifier":"s#","name":"T","content":{"title":"T {{data.a}}"}}}`},
	{field: "createTemplate", args: `{"input":{"identifier":"t#","name":"T","content":{"title":"T"},"layout":"frame","layoutUse":"NAMED"}}`},
	{field: "updateTemplate", args: `{"input":{"identifier":"receipt","layout":"spare","layoutUse":"NAMED"}}`},
	{field: "previewTemplate", args: `{"input":{"content":{"title":"T","body":"B"},"layout":"frame","layoutUse":"NAMED"}}`},
	{field: "previewTemplate", args: `{"input":{"template":"receipt","layoutContent":{"html":"<p>{{content}}{{data.a}}","text":"{{content}}"},"data":{"a":1}}}`},
	{field: "layouts", args: `{"first":2}`},
	{field: "layout", args: `{"identifier":"frame"}`},
	{field: "createLayout", args: `{"input":{"identifier":"l#","name":"L","content":{"html":"<p>{{content}}","text":"{{content}}"},"default":false,"idempotencyKey":"k#"}}`},
	{
		field: "updateLayout", args: `{"input":{"identifier":"v#","name":"F#","content":{"html":"<p>{{content}}","text":"{{content}}"},"default":false,"expectedVersion":1,"idempotencyKey":"k#"}}`,
		before: "createLayout", beforeArgs: `{"input":{"identifier":"v#","name":"L","content":{"text":"{{content}}"}}}`,
	},
	{field: "deleteLayout", args: `{"input":{"identifier":"l#","idempotencyKey":"k#"}}`, before: "createLayout", beforeArgs: `{"input":{"identifier":"l#","name":"L","content":{"text":"{{content}}"}}}`},
	{field: "deleteTopic", args: `{"input":{"identifier":"t#","idempotencyKey":"k#"}}`, before: "createTopic", beforeArgs: `{"input":{"identifier":"t#","name":"T"}}`},
	{field: "subscribeToTopic", args: `{"input":{"topic":"news","users":[{"identifier":"bob","channels":["IN_APP"],"subscribed":true},{"identifier":"nobody"}],"idempotencyKey":"k#"}}`},
	{field: "unsubscribeFromTopic", args: `{"input":{"topic":"posts/7","users":["bob","nobody"],"idempotencyKey":"k#"}}`},
	{field: "sendNotification", args: `{"input":{"to":{"topics":["news"],"everyone":false},"title":"T#"}}`},

	{on: "User", within: `{ user(identifier: "ada") { %s } }`, field: "inbox", args: `{"first":2,"filter":{"unseen":true,"unread":true,"archived":false,"categories":["comments"]}}`, user: true},
	{on: "User", within: `{ user(identifier: "ada") { %s } }`, field: "inbox", args: `{"first":null,"last":2}`, user: true},
	{on: "User", within: `{ user(identifier: "ada") { %s } }`, field: "events", args: `{"first":2,"name":"Paid"}`, user: true},
	{on: "User", within: `{ user(identifier: "ada") { %s } }`, field: "topics", args: `{"first":2}`, user: true},
	{on: "Segment", within: `{ segments(first: 2) { nodes { %s } } }`, field: "members", args: `{"first":2}`},
	{on: "Topic", within: `{ topics(first: 2) { nodes { %s } } }`, field: "subscribers", args: `{"first":2}`},

	{field: "inbox", args: `{"user":"ada","categories":["comments"],"first":2}`, user: true, userArgs: `{"first":2,"categories":["comments"]}`},
	{field: "sendProgress", args: `{"id":"@later"}`},
	{on: "Subscription", field: "deliveries", args: `{"after":"AwAGR0hGIEAA","send":"@welcome","notification":"@welcome/ada","user":"ada","provider":"@shop/mail","channels":["EMAIL"],"states":["FAILED"],"first":2}`},
}

// stateQuery shows what callers can read of an environment.
const stateQuery = `{
	bob: user(identifier: "bob") { identifier profile { attributes } }
	users(first: 50) { nodes { identifier profile { attributes } devices { deviceId browser provider } addresses { address provider } formerIdentifiers signedUpAt memberships { role } events(first: 50) { nodes { name value properties occurredAt } } } }
	providers { name config secrets }
	suppressions(first: 50) { nodes { address detail } }
	notifications(first: 50) { nodes { title body icon url data state interactions { data } blocks { id text link src } expiresAt } }
	sends(first: 50) { nodes { title sendAt expiresAt } }
	categories { identifier name }
	segments(first: 50) { nodes { identifier name description rule } }
	topics(first: 50) { nodes { identifier name description redirectUrl } }
	properties { name }
	templates(first: 50) { nodes { identifier name content { title body html url icon } channels { content { title body html url icon } } } }
	layouts(first: 50) { nodes { identifier name content { html text } } }
	credentials { name expiresAt }
	webhookEndpoints { url description types }
}`

// unshown are arguments that are not shown in answers, so that nobody can read
// them back.
var unshown = map[string]bool{
	"idempotencyKey": true, "token": true, "webPushSubscription": true, "secret": true, "publicKey": true, "upTo": true, "unset": true, "id": true, "ids": true, "category": true, "categories": true, "to": true, "secrets": true, "collapseKey": true, "dedupeKey": true,
	"jsonPatch": true, "users": true, "user": true, "mergePatch": true, "topic": true, "segment": true, "segments": true,
}

// object is JSON with its numbers as they are written.
func object(text string) map[string]any {
	v, err := model.DecodeJSON([]byte(text))
	if err != nil {
		panic(text + ": " + err.Error())
	}
	return v.(map[string]any)
}
