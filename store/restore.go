package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/uptrace/bun"

	"carillon/model"
)

// The facts that tell of restoring.
const (
	factEpoch = "epoch"
	// factBackup is there in a copy that [Store.Backup] made, until it is
	// opened to be worked on.
	factBackup = "backup"
	// factIdentity is which tables on which server these are: a dump that was
	// restored is other tables.
	factIdentity = "identity"
)

// idsSkipped is how many ids are left out after a restore: more than were given
// out since the copy was made, so that none of those names something else.
const idsSkipped = 100_000_000

// Restored makes a database that was restored from a copy a new one to all who
// knew it as it was after that: it gets an epoch of its own, so that streams
// begin anew, and ids that were not given out before. With hold, what was to go
// out over other channels than the inbox when the copy was made waits for a
// person: nobody knows whether it did. No server may run meanwhile.
func (s *Store) Restored(ctx context.Context, hold bool) (model.Restored, error) {
	out, _, err := s.restored(ctx, hold, func(map[string]string) bool { return true })
	return out, err
}

// restored does so if the facts call for it, which are locked by then.
func (s *Store) restored(ctx context.Context, hold bool, called func(facts map[string]string) bool) (out model.Restored, done bool, err error) {
	identity := s.identity(ctx)
	epoch := strconv.FormatUint(newEpoch(), 10)
	err = s.write(ctx, "noting the restore", func(ctx context.Context, tx bun.Tx) error {
		out, done = model.Restored{}, false
		facts, err := s.lockFacts(ctx, tx)
		if err != nil {
			return err
		}
		if !called(facts) {
			return nil
		}
		done = true
		if err := setFact(ctx, tx, factEpoch, epoch); err != nil {
			return err
		}
		if err := setFact(ctx, tx, factIdentity, identity); err != nil {
			return err
		}
		for _, statement := range []string{"delete from facts where name = '" + factBackup + "'", s.dialect.skipIDs} {
			if _, err := tx.NewRaw(statement).Exec(ctx); err != nil {
				return err
			}
		}
		if hold {
			out, err = s.hold(ctx, tx)
		}
		return err
	})
	if err != nil || !done {
		return out, false, err
	}
	s.epoch, err = strconv.ParseUint(epoch, 10, 64)
	return out, true, err
}

// lockFacts reads the facts and keeps others from changing the epoch.
func (s *Store) lockFacts(ctx context.Context, tx bun.Tx) (map[string]string, error) {
	var rows []struct{ Name, Value string }
	err := tx.NewRaw("select name, value from facts order by name"+s.dialect.forUpdate).Scan(ctx, &rows)
	facts := make(map[string]string, len(rows))
	for _, r := range rows {
		facts[r.Name] = r.Value
	}
	return facts, err
}

func setFact(ctx context.Context, tx bun.Tx, name, value string) error {
	_, err := tx.NewRaw("insert into facts (name, value) values (?, ?) on conflict (name) do update set value = excluded.value", name, value).Exec(ctx)
	return err
}

// held is what a delivery says that may have gone out already.
const held = "held after a restore: it may have gone out since the backup was made; try it again if it did not"

// hold keeps what is under way from going out once more.
func (s *Store) hold(ctx context.Context, tx bun.Tx) (out model.Restored, err error) {
	now := micros(s.now())
	res, err := tx.NewRaw("update deliveries set state = ?, detail = ?, updated_at = ? where state in (?, ?)",
		model.DeliveryUnknown, held, now, model.DeliveryQueued, model.DeliveryAttempting).Exec(ctx)
	if err == nil {
		out.Held, err = res.RowsAffected()
	}
	if err != nil {
		return out, fmt.Errorf("holding deliveries: %w", err)
	}
	// The same holds for what webhook endpoints were to be told.
	if _, err := tx.NewRaw("update webhook_events set state = ?, updated_at = ? where state in (?, ?)",
		int16(model.WebhookFailed), now, int16(model.WebhookQueued), int16(model.WebhookAttempting)).Exec(ctx); err != nil {
		return out, fmt.Errorf("holding webhook events: %w", err)
	}
	inbox, err := json.Marshal([]model.Channel{model.ChannelInApp})
	if err != nil {
		return out, err
	}
	res, err = tx.NewRaw("update sends set channels = ? where status = 'EXPANDING' or status = 'SCHEDULED' and send_at <= ?", string(inbox), now).Exec(ctx)
	if err == nil {
		out.InboxOnly, err = res.RowsAffected()
	}
	if err != nil {
		return out, fmt.Errorf("holding sends: %w", err)
	}
	return out, nil
}

// FoundRestored says whether opening the database found it to be a copy from
// before, and what was done then.
func (s *Store) FoundRestored() (model.Restored, bool) {
	if s.found == nil {
		return model.Restored{}, false
	}
	return *s.found, true
}

// identity tells these tables from a copy of them; "" where the database
// cannot.
func (s *Store) identity(ctx context.Context) string {
	for _, query := range s.dialect.identities {
		var text string
		if s.r.NewRaw(query).Scan(ctx, &text) == nil {
			return text
		}
	}
	return ""
}

// loadEpoch reads the epoch, which the first to come makes. A copy that is
// opened for the first time gets a new one, as [Store.Restored] has it.
func (s *Store) loadEpoch(ctx context.Context) error {
	if _, err := s.SetFactOnce(ctx, factEpoch, strconv.FormatUint(newEpoch(), 10)); err != nil {
		return err
	}
	if identity := s.identity(ctx); identity != "" {
		if _, err := s.SetFactOnce(ctx, factIdentity, identity); err != nil {
			return err
		}
	}
	changed := func(facts map[string]string) bool {
		identity := s.identity(ctx)
		return facts[factBackup] != "" || identity != "" && facts[factIdentity] != identity
	}
	facts, err := s.facts(ctx)
	if err != nil {
		return err
	}
	// Another process may have given the copy its epoch since the first look;
	// this one read it together with the identity that says so.
	if s.epoch, err = strconv.ParseUint(facts[factEpoch], 10, 64); err != nil {
		return fmt.Errorf("reading epoch: %w", err)
	}
	if !changed(facts) {
		return nil
	}
	out, done, err := s.restored(ctx, true, func(facts map[string]string) bool {
		s.epoch, _ = strconv.ParseUint(facts[factEpoch], 10, 64) // another process may have been first
		return changed(facts)
	})
	if done {
		s.found = &out
	}
	return err
}

func (s *Store) facts(ctx context.Context) (map[string]string, error) {
	var rows []struct{ Name, Value string }
	err := s.r.NewRaw("select name, value from facts").Scan(ctx, &rows)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	facts := make(map[string]string, len(rows))
	for _, r := range rows {
		facts[r.Name] = r.Value
	}
	return facts, s.fail("reading facts", err)
}
