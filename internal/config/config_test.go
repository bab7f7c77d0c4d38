package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReadReportsEveryMistakeAtOnce(t *testing.T) {
	t.Parallel()
	_, err := Read([]string{"ADDR=8080", "ROLE=api,cook", "MASTER_KEY=short", "DATABASE_URL=mysql://x", "REDIS_URL=http://x", "REQUEST_TIMEOUT=forever", "DATABASE_CONNS=1", "DELIVERY_LEASE=1s", "DATA_DIR=" + t.TempDir()})
	if err == nil {
		t.Fatal("nine mistakes were accepted")
	}
	for _, name := range []string{"ADDR", "ROLE", "MASTER_KEY", "DATABASE_URL", "REDIS_URL", "REQUEST_TIMEOUT", "DATABASE_CONNS", "DELIVERY_LEASE"} {
		if !strings.Contains(err.Error(), "\n  "+name+":") {
			t.Errorf("%s is not among the mistakes:\n%v", name, err)
		}
	}
}

func TestReadDefaultsAreGood(t *testing.T) {
	t.Parallel()
	cfg, err := Read(nil)
	if err != nil {
		t.Fatal(err)
	}
	if !cfg.Role.API || !cfg.Role.Worker || cfg.Database() != filepath.Join("data", "carillon.db") {
		t.Errorf("got %+v", cfg)
	}
}

func TestSecretsComeFromFilesAndStaySecret(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "key")
	key := strings.Repeat("ab", 32)
	if err := os.WriteFile(file, []byte(key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := Read([]string{"MASTER_KEY_FILE=" + file})
	if err != nil || string(cfg.MasterKey) != key {
		t.Fatalf("got %d bytes, %v", len(cfg.MasterKey), err)
	}
	if s := fmt.Sprintf("%v %+v %#v %s", cfg, cfg, cfg, cfg.MasterKey); strings.Contains(s, key) {
		t.Error("the master key is printed with the settings")
	}
	if _, err := Read([]string{"MASTER_KEY_FILE=" + file, "MASTER_KEY=" + key}); err == nil {
		t.Error("a secret given twice was accepted")
	}
}

func TestPrefixes(t *testing.T) {
	t.Parallel()
	cfg, err := Read([]string{"OUTGOING_ALLOW=10.1.2.3/8, 127.0.0.1,fd00::/8"})
	if got := fmt.Sprint(cfg.OutgoingAllow); err != nil || got != "[10.0.0.0/8 127.0.0.1/32 fd00::/8]" {
		t.Errorf("got %s, %v", got, err)
	}
	for _, bad := range []string{"10.0.0.0/33", "localhost", "10.0.0.0/8,", "::ffff:10.0.0.0/104", "fe80::1%eth0"} {
		if _, err := Read([]string{"OUTGOING_ALLOW=" + bad}); err == nil || !strings.Contains(err.Error(), "OUTGOING_ALLOW:") {
			t.Errorf("%q: got %v, want a mistake of OUTGOING_ALLOW", bad, err)
		}
	}
}

// TestReadmeListsEverySetting fails when a setting is added without telling
// the reader of the README.
func TestReadmeListsEverySetting(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readme), Table()) {
		t.Errorf("the table of settings in README.md is not up to date; it should be:\n\n%s", Table())
	}
}
