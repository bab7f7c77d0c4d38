package store

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"

	"carillon/model"
)

// ApplyReports records what a provider reports of messages, in one transaction:
// a delivery moves to the state that a report names unless its own ranks
// higher, and an address that is not to be used again is suppressed. Reports
// about deliveries that another provider carried name nothing.
func (s *Store) ApplyReports(ctx context.Context, by model.ProviderRef, reports []model.Report) (out model.Reported, err error) {
	err = s.write(ctx, "recording receipts", func(ctx context.Context, tx bun.Tx) error {
		out = model.Reported{}
		for _, r := range reports {
			d, found, err := s.reportedDelivery(ctx, tx, by, r)
			switch {
			case err != nil:
				return err
			case !found:
				out.Unknown++
				continue
			case d.State == model.DeliveryAttempting:
				out.Early = append(out.Early, r)
				continue
			}
			changed, err := s.applyReport(ctx, tx, d, r)
			if err != nil {
				return err
			}
			if changed {
				out.Applied++
			} else {
				out.Stale++
			}
		}
		return nil
	})
	return out, err
}

// reportedDelivery finds and locks the delivery that a report is about. One
// that is being attempted has no provider on record yet.
func (s *Store) reportedDelivery(ctx context.Context, tx bun.Tx, by model.ProviderRef, r model.Report) (d model.Delivery, found bool, err error) {
	where, arg := "id = ? and (provider_id = ? or state = 2)", string(r.Delivery)
	if r.Delivery == "" {
		where, arg = "message_id = ? and message_id <> '' and provider_id = ?", r.MessageID
	}
	list, err := s.deliveries(ctx, tx, "where env_id = ? and "+where+" order by created_at desc limit 1"+s.dialect.forUpdate, by.Env, arg, by.ID)
	if err != nil || len(list) == 0 {
		return d, false, err
	}
	return list[0], true, nil
}

func (s *Store) applyReport(ctx context.Context, tx bun.Tx, d model.Delivery, r model.Report) (changed bool, err error) {
	if r.Moves(d.State) {
		changed = true
		if _, err := tx.NewRaw("update deliveries set state = ?, detail = ?, updated_at = ? where env_id = ? and id = ?",
			int16(r.State), r.Detail, micros(s.now()), d.EnvID, d.ID).Exec(ctx); err != nil {
			return false, err
		}
		d.State = r.State
		if err := s.tell(ctx, tx, deliveryEvents([]model.Delivery{d})); err != nil {
			return false, err
		}
	}
	reason := r.Suppresses()
	if reason == "" || d.Address == "" {
		return changed, nil
	}
	if !changed {
		// Only what goes beyond the state is news, and what is said again must not
		// undo what a person has changed since.
		if r.State != 0 && d.State != model.DeliveryBounced {
			return false, nil
		}
		var known int
		if err := tx.NewRaw("select count(*) from suppressions where env_id = ? and channel = ? and hash = ?",
			d.EnvID, int16(d.Channel), model.AddressHash(d.Address)).Scan(ctx, &known); err != nil || known > 0 {
			return false, err
		}
	}
	if err := s.bury(ctx, tx, d, reason, r.Detail); err != nil {
		return false, fmt.Errorf("burying an address: %w", err)
	}
	return true, nil
}
