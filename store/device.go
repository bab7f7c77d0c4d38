package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"

	"github.com/uptrace/bun"

	"carillon/model"
)

type deviceRow struct {
	EnvID      model.EnvID
	UserID     model.UserID
	ID         model.DeviceID
	DeviceKey  string
	Platform   model.Platform
	Browser    string
	Token      string
	WebPush    sql.NullString
	Provider   string
	Enabled    bool
	CreatedAt  int64
	LastUsedAt int64
}

func (r deviceRow) model() model.Device {
	d := model.Device{
		ID: r.ID, EnvID: r.EnvID, UserID: r.UserID, Key: r.DeviceKey, Platform: r.Platform, Browser: r.Browser, Token: r.Token,
		Provider: r.Provider, Enabled: r.Enabled,
		CreatedAt: at(r.CreatedAt), LastUsedAt: at(r.LastUsedAt),
	}
	if r.WebPush.Valid {
		d.WebPush = json.RawMessage(r.WebPush.String)
	}
	return d
}

// pushKey is the same for two devices that are reached in the same way, and ""
// for one that is not reached at all.
func pushKey(d model.Device) string {
	if d.Token == "" && d.WebPush == nil {
		return ""
	}
	sum := sha256.Sum256(append(append([]byte(d.Token), 0), d.WebPush...))
	return hex.EncodeToString(sum[:])
}

const selectDevices = `select env_id, user_id, id, device_key, platform, browser, token, web_push, provider, enabled, created_at, last_used_at from devices`

// Devices lists the devices of a user, last used first.
func (s *Store) Devices(ctx context.Context, env model.EnvID, user model.UserID) ([]model.Device, error) {
	return s.devices(ctx, s.r, " where env_id = ? and user_id = ? order by last_used_at desc, id desc", env, user)
}

// Device reads a device of a user by id.
func (s *Store) Device(ctx context.Context, env model.EnvID, user model.UserID, id model.DeviceID) (model.Device, error) {
	return s.device(ctx, s.r, " where env_id = ? and user_id = ? and id = ?", env, user, id)
}

// RegisterDevice saves a device of a user, found again by its key: change gets
// the device as it was, or a new one with only its key and ids, and says how it
// shall be. Of more than model.MaxDevices the least recently used are
// forgotten. Whoever else in the environment was reached by the same token or
// subscription no longer is: the device has changed hands.
func (s *Store) RegisterDevice(ctx context.Context, env model.EnvID, o model.Once, fresh model.Device, change func(was model.Device) model.Device) (model.Outcome[model.Device], error) {
	fresh.EnvID = env
	return once(ctx, s, env, o, "registering device", func(ctx context.Context, tx bun.Tx) (model.Device, error) {
		if err := s.lockUser(ctx, tx, env, fresh.UserID); err != nil {
			return model.Device{}, err
		}
		was, err := s.device(ctx, tx, " where env_id = ? and user_id = ? and device_key = ?", env, fresh.UserID, fresh.Key)
		switch {
		case model.KindOf(err) == model.KindNotFound:
			was = fresh
			was.CreatedAt, was.Enabled = s.now(), true
		case err != nil:
			return model.Device{}, err
		}
		d := change(was)
		d.LastUsedAt = s.now()
		return d, s.saveDevice(ctx, tx, d)
	})
}

func (s *Store) saveDevice(ctx context.Context, tx bun.Tx, d model.Device) error {
	push := pushKey(d)
	if push != "" {
		// Two users with one push address at the same moment: one after the other.
		if lock := s.dialect.lockText; lock != "" {
			if _, err := tx.NewRaw(lock, push, int64(d.EnvID)).Exec(ctx); err != nil {
				return err
			}
		}
		if _, err := tx.NewRaw(`update devices set token = '', web_push = null, push_key = ''
			where env_id = ? and push_key = ? and not (user_id = ? and id = ?)`, d.EnvID, push, d.UserID, d.ID).Exec(ctx); err != nil {
			return err
		}
	}
	if _, err := tx.NewRaw(`insert into devices (env_id, user_id, id, device_key, platform, browser, token, web_push, push_key, provider, enabled, created_at, last_used_at)
		values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		on conflict (env_id, user_id, id) do update set platform = excluded.platform, browser = excluded.browser, token = excluded.token,
			web_push = excluded.web_push, push_key = excluded.push_key, provider = excluded.provider, enabled = excluded.enabled, last_used_at = excluded.last_used_at`,
		d.EnvID, d.UserID, d.ID, d.Key, d.Platform, d.Browser, d.Token, nullText(string(d.WebPush)), push, d.Provider, d.Enabled, micros(d.CreatedAt), micros(d.LastUsedAt)).Exec(ctx); err != nil {
		return err
	}
	_, err := tx.NewRaw(`delete from devices where env_id = ?0 and user_id = ?1 and id <> ?2 and id not in (
		select id from devices where env_id = ?0 and user_id = ?1 and id <> ?2 order by last_used_at desc, id desc limit ?3)`,
		d.EnvID, d.UserID, d.ID, model.MaxDevices-1).Exec(ctx)
	return err
}

// RemoveDevice forgets a device of a user by its key, and returns its id.
func (s *Store) RemoveDevice(ctx context.Context, env model.EnvID, o model.Once, user model.UserID, key string) (model.Outcome[model.DeviceID], error) {
	return once(ctx, s, env, o, "removing device", func(ctx context.Context, tx bun.Tx) (model.DeviceID, error) {
		var ids []model.DeviceID
		err := tx.NewRaw("delete from devices where env_id = ? and user_id = ? and device_key = ? returning id", env, user, key).Scan(ctx, &ids)
		if err != nil {
			return "", err
		}
		if len(ids) == 0 {
			return "", errNoDevice
		}
		return ids[0], nil
	})
}

var errNoDevice = model.NotFound("names no device of this user", "deviceId")

func (s *Store) device(ctx context.Context, db bun.IDB, where string, args ...any) (model.Device, error) {
	l, err := s.devices(ctx, db, where, args...)
	if err != nil {
		return model.Device{}, err
	}
	if len(l) == 0 {
		return model.Device{}, errNoDevice
	}
	return l[0], nil
}

func (s *Store) devices(ctx context.Context, db bun.IDB, rest string, args ...any) ([]model.Device, error) {
	var rows []deviceRow
	if err := db.NewRaw(selectDevices+rest, args...).Scan(ctx, &rows); err != nil {
		return nil, s.fail("reading devices", err)
	}
	out := make([]model.Device, len(rows))
	for i, r := range rows {
		out[i] = r.model()
	}
	return out, nil
}

// lockUser locks a user's row, so that what hangs on it is changed by one at a
// time. A user who does not exist is a KindNotFound error.
func (s *Store) lockUser(ctx context.Context, tx bun.Tx, env model.EnvID, user model.UserID) error {
	var ids []model.UserID
	if err := tx.NewRaw("select id from users where env_id = ? and id = ?"+s.dialect.forChange, env, user).Scan(ctx, &ids); err != nil {
		return err
	}
	if len(ids) == 0 {
		return errNoUser
	}
	return nil
}
