package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"carillon/internal/config"
	"carillon/internal/seal"
	"carillon/store"
)

// lockDataDir admits one server to an SQLite file: two would each be right
// about the database and blind to the other's live streams. The lock goes with
// the process. The command line does not take it and works beside a server.
func lockDataDir(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("DATA_DIR: %w", err)
	}
	path := filepath.Join(dir, "server.lock")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("DATA_DIR: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("another server uses the folder %q (it holds %s): stop it, or give this one another DATA_DIR", dir, path), f.Close())
	}
	return func() { _ = f.Close() }, nil
}

// masterKey is the one of the settings, else the one in the data folder, which
// is made when it is not there.
func masterKey(cfg config.Config, log *slog.Logger) (seal.Key, error) {
	if cfg.MasterKey != "" {
		return seal.ParseKey(string(cfg.MasterKey))
	}
	path := filepath.Join(cfg.DataDir, "master.key")
	if store.IsPostgres(cfg.Database()) {
		log.Warn("MASTER_KEY is not set: using the key in the data folder; every process needs the same one", "file", path)
	}
	b, err := os.ReadFile(path)
	if err == nil {
		return seal.ParseKey(strings.TrimSpace(string(b)))
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return seal.Key{}, err
	}
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return seal.Key{}, err
	}
	key := seal.NewKey()
	if err := createOnce(path, key.Reveal()+"\n"); errors.Is(err, fs.ErrExist) {
		return masterKey(cfg, log) // another process was first
	} else if err != nil {
		return seal.Key{}, err
	}
	return key, nil
}

// createOnce makes a file with its whole content, or fails because it is
// there; nobody ever sees half of it.
func createOnce(path, content string) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.WriteString(content)
	if err := errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	return os.Link(tmp.Name(), path)
}

// openBox makes the box that seals stored secrets, and refuses a master key
// that did not seal the ones that are there: noticed now and not at the first
// send.
func openBox(ctx context.Context, cfg config.Config, s *store.Store, log *slog.Logger) (*seal.Box, error) {
	key, err := masterKey(cfg, log)
	if err != nil {
		return nil, fmt.Errorf("reading master key: %w", err)
	}
	box, err := seal.NewBox(key)
	if err != nil {
		return nil, err
	}
	canary, err := s.SetFactOnce(ctx, "master_key_canary", box.Canary())
	if err != nil {
		return nil, err
	}
	if err := box.CheckCanary(canary); err != nil {
		return nil, fmt.Errorf("the master key is not the one that this database was begun with: %w", err)
	}
	return box, nil
}
