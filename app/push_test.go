package app_test

import (
	"crypto/ecdh"
	"encoding/base64"
	"sync"
	"testing"

	"carillon/app"
	"carillon/auth"
	"carillon/model"
)

func TestPushKey(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		shop, err := f.CreateEnvironment(t.Context(), app.NewEnvironment{App: "shop", Kind: model.EnvTest})
		if err != nil {
			t.Fatal(err)
		}
		other, err := f.CreateEnvironment(t.Context(), app.NewEnvironment{App: "shop", Kind: model.EnvLive})
		if err != nil {
			t.Fatal(err)
		}

		// Processes that ask for it at the same time agree.
		publics := make([]string, 8)
		var wg sync.WaitGroup
		for i := range publics {
			wg.Go(func() {
				process := &app.Service{Store: f.store, Keys: auth.Keys{Box: f.box}}
				key, err := process.PushKey(t.Context(), shop.Environment.ID)
				if err != nil {
					t.Error(err)
				}
				publics[i] = key.Public
			})
		}
		wg.Wait()
		key, private, err := f.PushPrivateKey(t.Context(), shop.Environment.ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, public := range publics {
			if public != key.Public {
				t.Errorf("a process has the key %q, another %q", public, key.Public)
			}
		}

		pair, err := ecdh.P256().NewPrivateKey(private)
		if err != nil {
			t.Fatalf("the private key: %v", err)
		}
		if got := base64.RawURLEncoding.EncodeToString(pair.PublicKey().Bytes()); got != key.Public {
			t.Errorf("the private key belongs to %q, the public key is %q", got, key.Public)
		}

		theirs, err := f.PushKey(t.Context(), other.Environment.ID)
		if err != nil || theirs.Public == key.Public {
			t.Errorf("the other environment has the key %q (%v), the same as the first", theirs.Public, err)
		}
		theirs.EnvID = key.EnvID
		if _, err := f.Keys.OpenPushKey(theirs); err == nil {
			t.Error("a private key opened for another environment than its own")
		}
		if _, err := f.PushKey(t.Context(), 1<<40); err == nil {
			t.Error("an environment that does not exist got a key")
		}
	})
}
