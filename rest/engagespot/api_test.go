package engagespot_test

import (
	"fmt"
	"testing"
	"time"
)

func TestConnectListSendClick(t *testing.T) {
	each(t, func(w *world) {
		ada := append(as(w.shop, "ada"), header{"X-ENGAGESPOT-DEVICE-ID", "browser-1"})
		connected := w.ok(200, "POST", "/v3/sdk/connect", map[string]any{"deviceType": "browser", "browserType": "chrome"}, ada...)
		if connected["unreadCount"] != 0.0 || connected["app"].(map[string]any)["name"] != "shop" || connected["app"].(map[string]any)["channels"].([]any)[0] != "inApp" {
			t.Errorf("connected: %v", connected)
		}
		for i := range 3 {
			w.clock.pass(time.Minute)
			sent := w.ok(202, "POST", "/v3/notifications", map[string]any{
				"notification": map[string]any{"title": fmt.Sprint("Title ", i), "message": "Message", "category": "news"}, "sendTo": map[string]any{"recipients": []string{"ada", "nobody"}},
			}, asApp(w.shop)...)
			if len(sent["requestId"].(string)) != 36 {
				t.Errorf("sent: %v", sent)
			}
		}
		list := w.ok(200, "GET", "/v3/notifications?limit=2", nil, ada...)
		items := list["data"].([]any)
		first := items[0].(map[string]any)
		if list["unreadCount"] != 3.0 || len(items) != 2 || first["title"] != "Title 2" || first["seenAt"] != nil || first["category"].(map[string]any)["name"] != "news" {
			t.Errorf("list: %v", list)
		}
		clicked := w.ok(200, "POST", fmt.Sprintf("/v3/notifications/%.0f/click", first["id"]), nil, ada...)
		if clicked["clickedAt"] == nil || clicked["seenAt"] != nil || w.unseen(w.shop, "ada") != 2 {
			t.Errorf("clicked: %v, unseen %v", clicked, w.unseen(w.shop, "ada"))
		}
	})
}
