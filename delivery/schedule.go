package delivery

import (
	"time"

	"carillon/model"
)

// The schedules: when after its first try a delivery is tried again at the
// latest. The n-th entry belongs to try n+1; each try falls at random into the
// time since the one before, so that deliveries that failed together do not
// come back together, and the last try is still as far away as it says.
//
// A send's own time to live is the only other bound.
var (
	webhookTries = []time.Duration{
		0, 5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 16 * time.Hour, 22 * time.Hour, 28 * time.Hour,
	}
	emailTries = []time.Duration{
		0, 10 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute, 45 * time.Minute, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour, 13 * time.Hour,
		18 * time.Hour, 24 * time.Hour,
	}
	quickTries = []time.Duration{
		0, 5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 40 * time.Minute, 2 * time.Hour, 4 * time.Hour,
	}
	chatTries = []time.Duration{
		0, 5 * time.Second, 30 * time.Second, 2 * time.Minute, 8 * time.Minute, 20 * time.Minute, 40 * time.Minute, time.Hour,
	}
)

// MaxRetryAfter is the longest wait that a provider can ask for.
const MaxRetryAfter = time.Hour

// minDelay keeps a try that comes late from being followed at once.
const minDelay = time.Second

// schedule is the schedule of a channel.
func schedule(c model.Channel) []time.Duration {
	switch c {
	case model.ChannelWebhook:
		return webhookTries
	case model.ChannelEmail:
		return emailTries
	case model.ChannelSlack, model.ChannelDiscord, model.ChannelTeams:
		return chatTries
	default: // push, SMS and what is like it
		return quickTries
	}
}

// Tries is how often a delivery over a channel is tried.
func Tries(c model.Channel) int { return len(schedule(c)) }

// Endurance is how long after the first try the last one comes, at the latest.
func Endurance(c model.Channel) time.Duration {
	s := schedule(c)
	return s[len(s)-1]
}

// Next says how long to wait before a delivery is tried again that has been
// tried so many times over elapsed time; more is false when it has been tried
// often enough. u is a random number in [0, 1). A provider that asked to wait
// is obeyed for up to MaxRetryAfter, and those that it asked the same are
// spread over a tenth of that.
func Next(c model.Channel, tries int, elapsed, retryAfter time.Duration, u float64) (delay time.Duration, more bool) {
	s := schedule(c)
	if tries < 1 || tries >= len(s) {
		return 0, tries < 1
	}
	from, to := s[tries-1], s[tries]
	at := from + time.Duration(float64(to-from)*u)
	delay = max(at-elapsed, minDelay)
	if asked := min(retryAfter, MaxRetryAfter); asked > delay {
		delay = asked + time.Duration(float64(asked)*u/10)
	}
	return delay, true
}
