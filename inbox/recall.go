package inbox

import (
	"context"
	"fmt"

	"carillon/model"
)

const (
	recallBatch = 500 // notifications of one transaction
	// recallAtOnce is how many batches a call itself takes away; the sweeper has
	// the rest.
	recallAtOnce = 4
	// sweepAtOnce is how many batches of what is recalled, or of what was edited,
	// the sweeper does before it looks after the rest of its work.
	sweepAtOnce = 20
)

// RecallSend takes a send back: what waits or is being expanded is cancelled, its
// notifications leave their inboxes, and what has not gone out over other
// channels does not. The first of them are gone when it returns, the rest goes
// soon after, whatever becomes of this process. A send that was recalled before
// stays so.
func (s *Service) RecallSend(ctx context.Context, env model.EnvID, once model.Once, id model.SendID) (model.Outcome[model.Send], error) {
	out, err := s.Store.RecallSend(ctx, env, once, id)
	if err != nil || out.Replayed {
		return out, err
	}
	m := out.Value
	s.Live.Publish(context.WithoutCancel(ctx), model.Hint{Key: model.SendKey(m.EnvID, m.ID), Seq: m.Head()})
	s.recallSome(ctx, env, id)
	return out, nil
}

// recallSome takes the first batches away. The recall stands whatever fails: the
// sweeper goes on with it.
func (s *Service) recallSome(ctx context.Context, env model.EnvID, id model.SendID) {
	for range recallAtOnce {
		more, err := s.recallNext(ctx, env, id)
		if err != nil {
			s.logger().WarnContext(ctx, "recalling notifications; the sweeper goes on", "error", err)
		}
		if err != nil || !more {
			return
		}
	}
}

func (s *Service) recallNext(ctx context.Context, env model.EnvID, id model.SendID) (more bool, err error) {
	within, cancel := context.WithTimeout(ctx, sweepTime)
	defer cancel()
	more, hints, err := s.Store.RecallNext(within, env, id, recallBatch)
	if err == nil {
		s.Live.Publish(context.WithoutCancel(ctx), hints...)
	}
	return more, err
}

// recallDue takes notifications away whose sends have been recalled: see inTurns.
func (s *Service) recallDue(ctx context.Context) (more bool, err error) {
	return inTurns(ctx, s.Store.RecallingSend, s.recallNext)
}

// RecallNotifications takes 1 to model.MaxRecall notifications of an environment
// back, whosever they are. The result lists which were there.
func (s *Service) RecallNotifications(ctx context.Context, env model.EnvID, once model.Once, ids []model.NotificationID) (model.Outcome[model.Recalled], error) {
	var c model.Check
	c.That(len(ids) >= 1 && len(ids) <= model.MaxRecall, fmt.Sprintf("must name 1 to %d notifications", model.MaxRecall), "ids")
	if err := c.Err(); err != nil {
		return model.Outcome[model.Recalled]{}, err
	}
	out, hints, err := s.Store.RecallNotifications(ctx, env, once, ids)
	if len(hints) > 0 {
		s.Live.Publish(context.WithoutCancel(ctx), hints...)
	}
	return out, err
}
