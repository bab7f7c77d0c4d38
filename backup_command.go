package main

import (
	"context"
	"errors"
	"fmt"
)

// backup copies an SQLite database while a server works on it.
func (p *program) backup(ctx context.Context, args []string) error {
	fs := p.flags("backup")
	to := fs.String("to", "", "the `file` to write; it must not be there yet")
	if err := p.parse(fs, args, "to"); err != nil {
		return err
	}
	return p.withParts(ctx, func(parts *parts) error {
		if err := parts.store.Backup(ctx, *to); err != nil {
			return err
		}
		fmt.Fprintf(p.stdout, "the database was copied to %s; keep the master key with it: nothing that is sealed opens without\n", *to)
		return nil
	})
}

// restored is told that the database is a copy from before.
func (p *program) restored(ctx context.Context, args []string) error {
	fs := p.flags("restored")
	deliveries := fs.String("deliveries", "hold", "what becomes of messages that were on their way when the backup was made: `hold or send`")
	if err := p.parse(fs, args); err != nil {
		return err
	}
	if *deliveries != "hold" && *deliveries != "send" {
		return usageError{errors.New("--deliveries must be hold or send")}
	}
	return p.withParts(ctx, func(parts *parts) error {
		done, err := parts.store.Restored(ctx, *deliveries == "hold")
		if err != nil {
			return err
		}
		fmt.Fprintf(p.stdout, "streams begin anew; %d deliveries are held as UNKNOWN, %d sends go to inboxes only\n", done.Held, done.InboxOnly)
		return nil
	})
}
