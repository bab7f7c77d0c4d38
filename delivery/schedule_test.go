package delivery

import (
	"testing"
	"time"

	"carillon/model"
)

// TestSchedules is the schedules' specification: how often, over how long, and
// when each try comes at the earliest and at the latest if every one before it
// came as late as it could.
func TestSchedules(t *testing.T) {
	t.Parallel()
	for channel, want := range map[model.Channel]struct {
		tries int
		over  time.Duration
	}{
		model.ChannelWebhook: {10, 28 * time.Hour}, model.ChannelEmail: {12, 24 * time.Hour},
		model.ChannelMobilePush: {8, 4 * time.Hour}, model.ChannelWebPush: {8, 4 * time.Hour}, model.ChannelSMS: {8, 4 * time.Hour},
		model.ChannelWhatsApp: {8, 4 * time.Hour}, model.ChannelVoice: {8, 4 * time.Hour},
		model.ChannelSlack: {8, time.Hour}, model.ChannelDiscord: {8, time.Hour}, model.ChannelTeams: {8, time.Hour},
	} {
		if Tries(channel) != want.tries || Endurance(channel) != want.over {
			t.Errorf("%s: %d tries over %s, want %d over %s", channel, Tries(channel), Endurance(channel), want.tries, want.over)
		}
		for _, u := range []float64{0, 0.5, 0.999999} {
			elapsed, n := time.Duration(0), 1
			for ; ; n++ {
				delay, more := Next(channel, n, elapsed, 0, u)
				if !more {
					break
				}
				if delay < minDelay {
					t.Errorf("%s: try %d follows after %s", channel, n+1, delay)
				}
				elapsed += delay
				if latest := schedule(channel)[n]; elapsed > latest+time.Duration(n)*minDelay {
					t.Errorf("%s: try %d comes after %s, later than %s", channel, n+1, elapsed, latest)
				}
			}
			if n != want.tries {
				t.Errorf("%s: %d tries, want %d", channel, n, want.tries)
			}
			if u > 0.9 && elapsed < want.over*99/100 {
				t.Errorf("%s: the last try comes after %s, want %s", channel, elapsed, want.over)
			}
		}
	}
}

func TestNextObeysTheProvider(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		asked, elapsed time.Duration
		u              float64
		want           time.Duration
	}{
		{0, 0, 0.5, 2500 * time.Millisecond},
		{0, 4 * time.Second, 0.5, time.Second}, // it is late already
		{time.Minute, 0, 0, time.Minute},
		{time.Minute, 0, 0.5, time.Minute + 3*time.Second}, // spread over a tenth
		{time.Second, 0, 0.9, 4500 * time.Millisecond},     // the schedule waits longer
		{48 * time.Hour, 0, 0, time.Hour},                  // and nobody may ask for more than an hour
	} {
		if got, more := Next(model.ChannelSMS, 1, tt.elapsed, tt.asked, tt.u); !more || got != tt.want {
			t.Errorf("Next after %s, asked for %s, u %v: %s, want %s", tt.elapsed, tt.asked, tt.u, got, tt.want)
		}
	}
}
