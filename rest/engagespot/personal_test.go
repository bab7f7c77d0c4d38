package engagespot_test

import (
	"strings"
	"testing"

	"carillon/model"
)

// TestSendsByTemplateNameTheirRecipients sends to two users what names the one who
// reads it.
func TestSendsByTemplateNameTheirRecipients(t *testing.T) {
	each(t, func(w *world) {
		l := withLive(w)
		_, err := w.templates.Create(t.Context(), w.shop.Environment.ID, model.Once{}, model.Template{
			Identifier: "hi", Name: "Hello", Content: model.TemplateText{Title: "Hi {{recipient.identifier}}", Body: "You have mail."},
		})
		if err != nil {
			t.Fatal(err)
		}
		names := []string{"ada", "bob"}
		sockets := map[string]*socket{}
		for _, name := range names {
			l.user(l.shop, name)
			sockets[name] = l.socket(l.shop, name)
		}
		if a := w.call("POST", "/v3/notifications", `{"notification":{"templateIdentifier":"hi"},"sendTo":{"recipients":["ada","bob"]}}`, asApp(w.shop)...); a.status != 202 {
			t.Fatalf("%d %s", a.status, a.body)
		}
		for _, name := range names {
			sockets[name].hears(`^42\["NEW_NOTIFICATION",\{"notification":\{"id":\d+,"title":"Hi ` + name + `","message":"You have mail\."`)
			page := w.call("GET", "/v3/notifications", nil, as(w.shop, name)...)
			if !strings.Contains(page.body, `"title":"Hi `+name+`"`) {
				t.Errorf("%s reads %s", name, page.body)
			}
		}
	})
}
