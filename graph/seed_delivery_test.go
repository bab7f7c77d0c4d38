package graph_test

import (
	"database/sql"
	"encoding/json"
	"strconv"
	"strings"

	"carillon/graph/view"
	"carillon/model"
)

// seedDeliveries gives shop a provider that is not used, an address that nothing
// is sent to, and ada's welcome a delivery that failed.
func (w *world) seedDeliveries(shop *environment, ada model.User) {
	t, ctx := w.t, w.t.Context()
	for _, name := range []string{"mail", "spare"} {
		p := must(w.delivery.CreateProvider(ctx, shop.ID, model.Once{}, model.ProviderInput{
			Kind: "recorder", Channel: model.ChannelEmail, Name: name, Config: json.RawMessage(`{"from":"shop@example.com"}`), Secrets: json.RawMessage(`{"token":"a-secret-token"}`),
		}))(t).Value
		w.names["shop/"+name] = view.ProviderID(p.ID)
	}
	for _, address := range []string{"gone@example.com", "away@example.com"} {
		s := must(w.delivery.Suppress(ctx, shop.ID, model.Once{}, model.Suppression{Channel: model.ChannelEmail, Address: address, Reason: model.SuppressedManual}))(t).Value
		w.names["shop/"+address[:4]] = view.SuppressionID(s.ID)
	}
	for _, name := range []string{"first", "second"} {
		n := must(strconv.ParseInt(w.names["welcome/ada"][4:], 10, 64))(t)
		w.exec(`insert into deliveries (env_id, id, notification_id, user_id, send_id, channel, lane, state, reason, address, attempt, run_at, created_at, updated_at, detail)
			values (?, ?, ?, ?, ?, 2, ?, 4, 12, 'ada@example.com', 1, ?, ?, ?, 'away')`, int64(shop.ID), "delivery-"+name, n, int64(ada.ID), must(strconv.ParseInt(w.names["welcome"][4:], 10, 64))(t),
			int64(shop.ID)*32+2, start.UnixMicro(), start.UnixMicro(), start.UnixMicro())
		w.exec(`insert into attempts (env_id, delivery_id, n, provider_id, kind, started_at, took, class, status, message_id, answer, detail, next_at)
			values (?, ?, 1, ?, 'recorder', ?, 1500, 1, 503, '', 'Service Unavailable', 'away', 0)`, int64(shop.ID), "delivery-"+name, strings.TrimPrefix(w.names["shop/mail"], "prv_"), start.UnixMicro())
		w.names["welcome/ada/"+name] = view.DeliveryID(model.DeliveryID("delivery-" + name))
	}
}

// exec runs a statement behind the store's back. Placeholders are ?.
func (w *world) exec(query string, args ...any) {
	w.t.Helper()
	driver := "sqlite"
	if w.store.Database() == "postgres" {
		driver = "pgx"
		for i := range args {
			query = strings.Replace(query, "?", "$"+strconv.Itoa(i+1), 1)
		}
	}
	db, err := sql.Open(driver, w.url)
	if err != nil {
		w.t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if driver == "sqlite" {
		_, err = db.Exec("pragma busy_timeout = 5000")
	}
	if err == nil {
		_, err = db.Exec(query, args...)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}
