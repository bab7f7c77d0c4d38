package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"carillon/delivery"
	"carillon/model"
	"carillon/user"
)

func TestEveryAddressHearsOnce(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		for _, c := range []model.Channel{model.ChannelEmail, model.ChannelSMS, model.ChannelMobilePush} {
			f.provider(t, c)
		}
		ada := f.ada(t)
		f.phone(t, ada, "token-1")
		f.phone(t, ada, "token-2")
		f.person(t, f.env.ID, "eve", `{}`)
		f.run(t)
		f.send(t, f.env, nil, "ada", "eve")
		f.settled(t)
		equal(t, "deliveries", f.deliveries(t), []string{
			"EMAIL SENT ENV_DEFAULT ada@example.com", "SMS SENT ENV_DEFAULT +4915112345678",
			"MOBILE_PUSH SENT ENV_DEFAULT token-1", "MOBILE_PUSH SENT ENV_DEFAULT token-2",
		})
		taken := f.recorder.Taken()
		if len(taken) != 4 {
			t.Fatalf("%d messages were sent, want 4", len(taken))
		}
		for _, s := range taken {
			m := s.Message
			if m.Title != "Hello" || m.Text != "How are you?" || m.Recipient != "ada" || m.Name != "Ada" || m.Attempt != 1 || m.Send == "" || m.ExpiresAt.Before(time.Now()) {
				t.Errorf("message %+v", m)
			}
		}
		for _, d := range f.rows(t, f.env.ID) {
			attempts, err := f.store.Attempts(t.Context(), f.env.ID, []model.DeliveryID{d.ID})
			if err != nil {
				t.Fatal(err)
			}
			a := attempts[d.ID]
			if len(a) != 1 || a[0].Class != 0 || a[0].Provider != d.ProviderID || a[0].MessageID != "rec-"+string(d.ID) || d.MessageID != a[0].MessageID || a[0].Took <= 0 {
				t.Errorf("delivery %+v has the attempts %+v", d, a)
			}
		}
	})
}

// answers plays one answer after the other; after the last, every attempt is
// taken.
func (f *fixture) answers(list ...error) {
	f.answersIn(map[model.EnvID][]error{f.env.ID: list})
}

// answersIn is answers for each of several environments.
func (f *fixture) answersIn(lists map[model.EnvID][]error) {
	var mu sync.Mutex
	f.recorder.Answer = func(_ context.Context, a delivery.Account, _ delivery.Message) (delivery.Receipt, error) {
		mu.Lock()
		list := lists[a.Env]
		if len(list) > 0 {
			lists[a.Env] = list[1:]
		}
		mu.Unlock()
		if len(list) == 0 {
			return delivery.Receipt{Status: 200}, nil
		}
		if p, ok := errors.AsType[panicking](list[0]); ok {
			panic(string(p))
		}
		return delivery.Receipt{}, list[0]
	}
}

// panicking is an answer that panics.
type panicking string

func (p panicking) Error() string { return string(p) }

func TestFailuresAreDealtWithByClass(t *testing.T) {
	transient, permanent := delivery.Errorf(model.ClassTransient, "away"), delivery.Errorf(model.ClassPermanent, "no such thing")
	dead, unknown := delivery.Errorf(model.ClassAddressDead, "unregistered"), delivery.Errorf(model.ClassUnknown, "cut off")
	later := &delivery.Error{Class: model.ClassRateLimited, RetryAfter: 20 * time.Minute, Message: "too many", Status: 429, Answer: "slow down"}
	type class struct {
		channel  model.Channel
		answers  []error
		state    model.DeliveryState
		attempts string
	}
	tests := map[string]class{
		"Taken":          {model.ChannelEmail, nil, model.DeliverySent, "[1 ]"},
		"Transient":      {model.ChannelEmail, []error{transient, transient}, model.DeliverySent, "[1 TRANSIENT 2 TRANSIENT 3 ]"},
		"Panic":          {model.ChannelEmail, []error{panicking("poison")}, model.DeliverySent, "[1 TRANSIENT 2 ]"},
		"RateLimited":    {model.ChannelEmail, []error{later}, model.DeliverySent, "[1 RATE_LIMITED 2 ]"},
		"Permanent":      {model.ChannelEmail, []error{permanent}, model.DeliveryFailed, "[1 PERMANENT]"},
		"Dead":           {model.ChannelEmail, []error{dead}, model.DeliveryFailed, "[1 ADDRESS_DEAD]"},
		"UnknownMail":    {model.ChannelEmail, []error{unknown}, model.DeliverySent, "[1 UNKNOWN 2 ]"},
		"UnknownSMS":     {model.ChannelSMS, []error{unknown}, model.DeliveryUnknown, "[1 UNKNOWN]"},
		"GivenUp":        {model.ChannelSMS, []error{transient, transient, transient, transient, transient, transient, transient, transient}, model.DeliveryFailed, "[1 TRANSIENT 2 TRANSIENT 3 TRANSIENT 4 TRANSIENT 5 TRANSIENT 6 TRANSIENT 7 TRANSIENT 8 TRANSIENT]"},
		"NotAnError":     {model.ChannelEmail, []error{errors.New("odd")}, model.DeliverySent, "[1 UNKNOWN 2 ]"},
		"SettingsBroken": {model.ChannelEmail, []error{delivery.Errorf(model.ClassConfig, "bad host")}, model.DeliveryFailed, "[1 CONFIG]"},
	}
	each(t, func(t *testing.T, f *fixture) {
		envs, answers := map[string]model.Environment{}, map[model.EnvID][]error{}
		for name, tt := range tests {
			env := f.environment(t, name)
			f.providerOf(t, &env, tt.channel)
			f.person(t, env.ID, "ada", `{"email":"ada@example.com","phoneNumber":"+4915112345678"}`)
			envs[name], answers[env.ID] = env, tt.answers
		}
		f.answersIn(answers)
		// Breakers and waits are another test's.
		var skew atomic.Int64
		f.Now = func() time.Time { return time.Now().Add(time.Duration(skew.Load())) }
		f.run(t)
		for _, env := range envs {
			f.send(t, env, nil, "ada")
		}
		for range 20 {
			f.settled(t)
			if f.count(t, "select count(*) from deliveries where state = 1") == 0 {
				break
			}
			skew.Add(int64(2 * time.Hour))
			f.hurry(t)
		}
		for name, tt := range tests {
			rows := f.rows(t, envs[name].ID)
			if len(rows) != 1 || rows[0].State != tt.state {
				t.Errorf("%s: deliveries %+v, want one that is %s", name, rows, tt.state)
				continue
			}
			attempts, err := f.store.Attempts(t.Context(), envs[name].ID, []model.DeliveryID{rows[0].ID})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, a := range attempts[rows[0].ID] {
				got = append(got, fmt.Sprint(a.N, " ", a.Class))
			}
			equal(t, name+": attempts", got, tt.attempts)
			for _, s := range f.recorder.Tried() {
				if s.Message.Recipient == "ada" && s.Message.ID == rows[0].ID && s.Message.Attempt > rows[0].Attempt {
					t.Errorf("%s: attempt %d, and the delivery says %d", name, s.Message.Attempt, rows[0].Attempt)
				}
			}
		}
		if n := f.count(t, "select count(*) from deliveries"); n != int64(len(tests)) {
			t.Errorf("%d deliveries, want %d", n, len(tests))
		}
	})
}

func TestRetryAfterIsObeyed(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.provider(t, model.ChannelEmail)
		f.ada(t)
		f.answers(&delivery.Error{Class: model.ClassRateLimited, RetryAfter: 20 * time.Minute, Message: "too many", Status: 429, Answer: "slow\x00 down"})
		f.run(t)
		f.send(t, f.env, nil, "ada")
		f.settled(t)
		d := f.rows(t, f.env.ID)[0]
		if wait := time.Until(d.RunAt); wait < 19*time.Minute || wait > 23*time.Minute {
			t.Errorf("the next try is in %s, want 20 minutes and a tenth at most", wait)
		}
		attempts, _ := f.store.Attempts(t.Context(), f.env.ID, []model.DeliveryID{d.ID})
		a := attempts[d.ID][0]
		if a.Status != 429 || a.Answer != "slow down" || a.Detail != "too many" || a.NextAt.IsZero() {
			t.Errorf("attempt %+v", a)
		}
	})
}

func TestDeadAddressesAreNotUsedAgain(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.provider(t, model.ChannelMobilePush)
		f.provider(t, model.ChannelEmail)
		ada := f.ada(t)
		f.phone(t, ada, "dead-token")
		f.phone(t, ada, "good-token")
		f.recorder.Answer = func(_ context.Context, _ delivery.Account, m delivery.Message) (delivery.Receipt, error) {
			if m.To.Address != "good-token" {
				return delivery.Receipt{}, delivery.Errorf(model.ClassAddressDead, "unregistered")
			}
			return delivery.Receipt{}, nil
		}
		f.run(t)
		f.send(t, f.env, nil, "ada")
		f.settled(t)
		f.send(t, f.env, nil, "ada")
		f.settled(t)
		equal(t, "deliveries", f.deliveries(t), []string{
			"EMAIL SKIPPED SUPPRESSED", "EMAIL FAILED ENV_DEFAULT ada@example.com", "MOBILE_PUSH FAILED ENV_DEFAULT dead-token",
			"MOBILE_PUSH SENT ENV_DEFAULT good-token", "MOBILE_PUSH SENT ENV_DEFAULT good-token",
		})
		f.phone(t, ada, "dead-token") // the app registers it again
		f.send(t, f.env, func(r *model.SendRequest) { r.Channels = []model.Channel{model.ChannelMobilePush} }, "ada")
		f.settled(t)
		if n := len(f.recorder.Tried()); n != 6 {
			t.Errorf("%d attempts, want 6: a token that is registered again is tried again", n)
		}
	})
}

func TestTheLadderIsAskedAgainBeforeEachAttempt(t *testing.T) {
	off := false
	for name, tt := range map[string]struct {
		change func(t *testing.T, f *fixture, ada model.User)
		want   string
	}{
		"SwitchedOff": {func(t *testing.T, f *fixture, ada model.User) {
			if _, err := f.users.SetPreferences(t.Context(), f.env, model.Once{}, ada.ID, []user.PreferenceInput{{Channel: model.ChannelEmail, Enabled: &off}}); err != nil {
				t.Fatal(err)
			}
		}, "EMAIL SKIPPED USER_CHANNEL_OFF ada@example.com"},
		"Disabled": {func(t *testing.T, f *fixture, _ model.User) {
			if _, err := f.users.SetEnabled(t.Context(), f.env.ID, model.Once{}, "ada", false); err != nil {
				t.Fatal(err)
			}
		}, "EMAIL SKIPPED USER_DISABLED ada@example.com"},
		"Suppressed": {func(t *testing.T, f *fixture, _ model.User) {
			if _, err := f.Suppress(t.Context(), f.env.ID, model.Once{}, model.Suppression{Channel: model.ChannelEmail, Address: "ada@example.com", Reason: model.SuppressedManual}); err != nil {
				t.Fatal(err)
			}
		}, "EMAIL SKIPPED SUPPRESSED ada@example.com"},
		"AnotherAddress": {func(t *testing.T, f *fixture, _ model.User) {
			f.person(t, f.env.ID, "ada", `{"email":"new@example.com"}`)
		}, "EMAIL SKIPPED NO_ADDRESS ada@example.com"},
		"NoProvider": {func(t *testing.T, f *fixture, _ model.User) {
			all, err := f.Providers(t.Context(), f.env.ID)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.DeleteProvider(t.Context(), f.env.ID, model.Once{}, all[0].ID); err != nil {
				t.Fatal(err)
			}
		}, "EMAIL SKIPPED ADMIN_OFF ada@example.com"},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, f *fixture) {
				f.provider(t, model.ChannelEmail)
				ada := f.ada(t)
				f.send(t, f.env, nil, "ada")
				tt.change(t, f, ada)
				f.run(t)
				f.settled(t)
				equal(t, "deliveries", f.deliveries(t), []string{tt.want})
				if n := len(f.recorder.Tried()); n != 0 {
					t.Errorf("%d attempts were made", n)
				}
			})
		})
	}
}

func TestProvidersStandInForEachOther(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		first := f.provider(t, model.ChannelEmail)
		second := f.provider(t, model.ChannelEmail, func(in *model.ProviderInput) { in.Kind = "other" })
		f.ada(t)
		f.recorder.Answer = func(_ context.Context, a delivery.Account, _ delivery.Message) (delivery.Receipt, error) {
			if a.Provider == first.ID {
				return delivery.Receipt{}, delivery.Errorf(model.ClassAuth, "wrong password")
			}
			return delivery.Receipt{}, nil
		}
		f.run(t)
		f.send(t, f.env, nil, "ada")
		f.settled(t)
		f.send(t, f.env, nil, "ada")
		f.settled(t)
		var tried []string
		for _, s := range f.recorder.Tried() {
			tried = append(tried, map[model.ProviderID]string{first.ID: "first", second.ID: "second"}[s.Provider])
		}
		equal(t, "tried", tried, []string{"first", "second", "second"})
		p, err := f.Provider(t.Context(), f.env.ID, first.ID)
		if err != nil || !p.Paused() || p.Trouble != "wrong password" {
			t.Errorf("provider %+v, %v: want it paused for its wrong password", p, err)
		}
		// New secrets let it go on.
		if _, err := f.UpdateProvider(t.Context(), f.env.ID, model.Once{}, first.ID, model.ProviderChange{Secrets: []byte(`{"token":"another-token"}`)}); err != nil {
			t.Fatal(err)
		}
		if p, err = f.Provider(t.Context(), f.env.ID, first.ID); err != nil || p.Paused() || p.Trouble != "" {
			t.Errorf("provider %+v, %v: want it to go on", p, err)
		}
		if _, err := f.OrderProviders(t.Context(), f.env.ID, model.Once{}, model.ChannelEmail, []model.ProviderID{second.ID, first.ID}); err != nil {
			t.Fatal(err)
		}
		f.send(t, f.env, nil, "ada")
		f.settled(t)
		if all := f.recorder.Tried(); len(all) != 4 || all[3].Provider != second.ID {
			t.Errorf("tried %+v: want the second, which is the first now, and only it", all)
		}
	})
}

func TestPausedProvidersGetNothing(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		p := f.provider(t, model.ChannelEmail)
		f.ada(t)
		yes, no := true, false
		if _, err := f.UpdateProvider(t.Context(), f.env.ID, model.Once{}, p.ID, model.ProviderChange{Paused: &yes}); err != nil {
			t.Fatal(err)
		}
		f.provider(t, model.ChannelSMS)
		f.run(t)
		f.send(t, f.env, nil, "ada")
		eventually(t, "the text message is sent", func() bool { return f.count(t, "select count(*) from deliveries where state = 3") == 1 })
		equal(t, "deliveries", f.deliveries(t), []string{"EMAIL QUEUED ENV_DEFAULT ada@example.com", "SMS SENT ENV_DEFAULT +4915112345678"})
		if _, err := f.UpdateProvider(t.Context(), f.env.ID, model.Once{}, p.ID, model.ProviderChange{Paused: &no}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the e-mail is sent", func() bool { return len(f.recorder.Taken()) == 2 })
	})
}

func TestHangingProvidersDelayNobodyElse(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.Concurrency = 16
		f.provider(t, model.ChannelEmail, func(in *model.ProviderInput) { in.Concurrency = 64 })
		var everyone []string
		for i := range 60 {
			name := fmt.Sprintf("user-%d", i)
			f.person(t, f.env.ID, name, fmt.Sprintf(`{"email":"%s@example.com"}`, name))
			everyone = append(everyone, name)
		}
		other := f.environment(t, "other")
		f.providerOf(t, &other, model.ChannelEmail)
		f.person(t, other.ID, "bob", `{"email":"bob@example.com"}`)
		f.recorder.Answer = func(ctx context.Context, a delivery.Account, _ delivery.Message) (delivery.Receipt, error) {
			if a.Env == f.env.ID {
				<-ctx.Done() // until its time is over
				return delivery.Receipt{}, ctx.Err()
			}
			return delivery.Receipt{}, nil
		}
		f.Lease = 4 * time.Second // which is all the time that an attempt gets, less a quarter
		f.run(t)
		f.send(t, f.env, nil, everyone...)
		eventually(t, "the first app hangs", func() bool { return f.Numbers().Busy >= 8 })
		for range 20 {
			began := len(f.recorder.Taken())
			f.send(t, other, nil, "bob")
			eventually(t, "the other app's message is sent", func() bool { return len(f.recorder.Taken()) == began+1 })
		}
	})
}

func TestManyHangingAppsDelayNobodyElse(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.Concurrency = 16
		const apps = 24 // more than there are places
		var envs []model.Environment
		for i := range apps + 1 {
			env := f.environment(t, fmt.Sprintf("app-%d", i))
			f.providerOf(t, &env, model.ChannelEmail)
			f.person(t, env.ID, "ada", `{"email":"ada@example.com"}`)
			envs = append(envs, env)
		}
		well, over := envs[apps].ID, make(chan struct{})
		f.recorder.Answer = func(_ context.Context, a delivery.Account, _ delivery.Message) (delivery.Receipt, error) {
			if a.Env != well {
				<-over
			}
			return delivery.Receipt{}, nil
		}
		f.run(t)
		t.Cleanup(func() { close(over) }) // before the worker is stopped
		for _, env := range envs[:apps] {
			f.send(t, env, nil, "ada")
			f.send(t, env, nil, "ada")
		}
		eventually(t, "all the others hang", func() bool { return f.Numbers().Busy >= apps })
		for i := range 5 {
			f.send(t, envs[apps], nil, "ada")
			eventually(t, "the message of the app that is well is sent", func() bool { return len(f.recorder.Taken()) == i+1 })
		}
	})
}

func TestPanicsOutsideOfProvidersAreTriedAgain(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.provider(t, model.ChannelEmail)
		f.ada(t)
		f.Render = poison{}
		f.run(t)
		f.send(t, f.env, nil, "ada")
		f.settled(t)
		d := f.rows(t, f.env.ID)[0]
		if d.State != model.DeliveryQueued || d.Tries != 1 || d.Detail == "" || time.Until(d.RunAt) <= 0 {
			t.Errorf("after a panic the delivery is %+v", d)
		}
	})
}

// poison is a renderer that panics.
type poison struct{}

func (poison) Render(context.Context, *delivery.Message, delivery.Subject) error { panic("poison") }

// refusing is a store that refuses the results of one delivery.
type refusing struct {
	delivery.Store
	user model.UserID
}

func (r refusing) FinishDeliveries(ctx context.Context, done []model.FinishedDelivery) (map[model.Claim]bool, error) {
	for _, d := range done {
		if d.UserID == r.user && d.State == model.DeliverySent {
			return nil, errors.New("this row cannot be written")
		}
	}
	return r.Store.FinishDeliveries(ctx, done)
}

func TestAResultThatCannotBeWrittenHoldsUpNoOthers(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.provider(t, model.ChannelEmail)
		ada := f.ada(t)
		f.Store = refusing{f.Service.Store, ada.ID}
		everyone := []string{"ada"}
		for i := range 20 {
			name := fmt.Sprintf("user-%d", i)
			f.person(t, f.env.ID, name, fmt.Sprintf(`{"email":"%s@example.com"}`, name))
			everyone = append(everyone, name)
		}
		f.send(t, f.env, nil, everyone...)
		f.run(t)
		eventually(t, "the others are sent", func() bool { return f.count(t, "select count(*) from deliveries where state = 3") == 20 })
	})
}

func TestTwoWorkersShareWithoutDoubling(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.provider(t, model.ChannelEmail)
		var everyone []string
		for i := range 100 {
			name := fmt.Sprintf("user-%d", i)
			f.person(t, f.env.ID, name, fmt.Sprintf(`{"email":"%s@example.com"}`, name))
			everyone = append(everyone, name)
		}
		f.run(t)
		runService(t, f.another())
		for range 3 {
			f.send(t, f.env, nil, everyone...)
		}
		f.settled(t)
		seen := map[model.DeliveryID]int{}
		for _, s := range f.recorder.Taken() {
			seen[s.Message.ID]++
		}
		if len(seen) != 300 || len(f.recorder.Taken()) != 300 {
			t.Errorf("%d deliveries in %d messages, want 300 in 300", len(seen), len(f.recorder.Taken()))
		}
	})
}

func TestShutdownFinishesWhatItHolds(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.provider(t, model.ChannelEmail)
		f.ada(t)
		begun, goOn := make(chan struct{}), make(chan struct{})
		f.recorder.Answer = func(context.Context, delivery.Account, delivery.Message) (delivery.Receipt, error) {
			close(begun)
			<-goOn
			return delivery.Receipt{}, nil
		}
		stop := f.run(t)
		f.send(t, f.env, nil, "ada")
		<-begun
		stopped := make(chan struct{})
		go func() { stop(); close(stopped) }()
		select {
		case <-stopped:
			t.Error("Run returned while a message was being sent")
		case <-time.After(50 * time.Millisecond):
		}
		close(goOn)
		<-stopped
		equal(t, "deliveries", f.deliveries(t), []string{"EMAIL SENT ENV_DEFAULT ada@example.com"})
	})
}

func TestEscalationsWaitAndAreCalledOff(t *testing.T) {
	for name, mark := range map[string]model.MarkState{"Unmarked": "", "Seen": model.MarkSeen, "Read": model.MarkRead} {
		for _, unless := range []model.MarkState{model.MarkSeen, model.MarkRead} {
			t.Run(name+"Unless"+string(unless), func(t *testing.T) {
				each(t, func(t *testing.T, f *fixture) {
					f.provider(t, model.ChannelEmail)
					f.provider(t, model.ChannelSMS)
					ada := f.ada(t)
					f.run(t)
					sent := f.send(t, f.env, func(r *model.SendRequest) {
						r.WantPlan = true
						r.Options.Escalations = []model.Escalation{{Channel: model.ChannelSMS, After: time.Hour, Unless: unless}}
					}, "ada")
					f.settled(t)
					equal(t, "deliveries", f.deliveries(t), []string{"EMAIL SENT ENV_DEFAULT ada@example.com", "SMS QUEUED ENV_DEFAULT +4915112345678"})
					if mark != "" {
						if _, _, err := f.store.MarkAll(t.Context(), f.env.ID, model.Once{}, ada.ID, mark, nil, nil); err != nil {
							t.Fatal(err)
						}
					}
					f.hurry(t)
					f.settled(t)
					want := "SENT"
					if mark == model.MarkRead || mark == unless {
						want = "CANCELED"
					}
					equal(t, "deliveries", f.deliveries(t), []string{"EMAIL SENT ENV_DEFAULT ada@example.com", "SMS " + want + " ENV_DEFAULT +4915112345678"})
					_ = sent
				})
			})
		}
	}
}

func TestLargeSendsAreDelivered(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.provider(t, model.ChannelEmail)
		for i := range 150 {
			f.person(t, f.env.ID, fmt.Sprintf("user-%03d", i), fmt.Sprintf(`{"email":"user-%03d@example.com"}`, i))
		}
		f.sends.Chunk = 40
		f.run(t)
		f.send(t, f.env, func(r *model.SendRequest) { r.To.Everyone = true })
		if err := f.sends.ExpandAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.settled(t)
		if n := len(f.recorder.Taken()); n != 150 {
			t.Errorf("%d messages, want 150", n)
		}
	})
}

func TestRatesHoldForAllWorkersTogether(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		p := f.provider(t, model.ChannelEmail, func(in *model.ProviderInput) { in.PerSecond = 50 })
		var everyone []string
		for i := range 100 {
			name := fmt.Sprintf("user-%d", i)
			f.person(t, f.env.ID, name, fmt.Sprintf(`{"email":"%s@example.com"}`, name))
			everyone = append(everyone, name)
		}
		f.send(t, f.env, nil, everyone...)
		// The first second's worth is there at once, whoever asks.
		ref := model.ProviderRef{Env: f.env.ID, ID: p.ID}
		for range 25 {
			for range 2 {
				if wait, err := f.store.ReserveRate(t.Context(), ref, 1); err != nil || wait > 0 {
					t.Fatalf("a turn of the first second has to wait %s, %v", wait, err)
				}
			}
		}
		if _, err := f.store.ReserveRate(t.Context(), ref, 1000); err != nil {
			t.Fatal(err)
		}
		if wait, err := f.store.ReserveRate(t.Context(), ref, 1); err != nil || wait < 15*time.Second || wait > 21*time.Second {
			t.Errorf("after 1,000 turns at 50 a second the next one waits %s, %v", wait, err)
		}
	})
}
