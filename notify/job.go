package notify

import (
	"strconv"
	"time"

	"carillon/internal/id"
	"carillon/model"
)

// job is a send on its way: asked for by a caller, or scheduled earlier and
// now due.
type job struct {
	env      model.Environment
	req      model.SendRequest // of a due send: what it was accepted as
	category *model.Category   // nil: none
	due      *model.DueSend    // nil: not fired but asked for
	names    []string          // the recipients of a send that is asked for, each once
	topics   []model.TopicID   // and those on topics
	segments []model.SegmentID // and in segments
	others   []model.Recipient // in a dry run, those on topics or everyone, as of now
	inline   map[string]model.IdentifyInput
	until    *time.Time // when the last user was made who is part of everyone; nil: everyone is not meant
	plan     planner
	wantPlan bool
	texts    map[model.UserID]model.TemplateText // of a small send with personal texts: what each recipient reads
	slow     bool                                // to render them takes too long, so that it is done by the expanders

	// What the last preparation found and made.
	missing   []string // users that must be created before the send can go on
	strangers bool     // recipients who have come since their texts were rendered
	pending   model.PendingSend
	owners    []int // of each of its deliveries, the notification
	replayed  bool  // pending.Result is the stored one of an earlier call
	lost      bool  // the due send was cancelled, or fired by another process
	err       error // it is refused, or has failed

	done chan struct{} // closed when the committer is through with it
}

// newJob makes a job of a request that was checked, to topics that were found.
func newJob(env model.Environment, req model.SendRequest, category *model.Category, topics []model.TopicID) *job {
	j := &job{
		env: env, req: req, category: category, topics: topics,
		plan:     newPlanner(env, req.Channels, category, req.Options),
		wantPlan: req.WantPlan || req.DryRun || req.Once.Set(),
	}
	seen := make(map[string]bool, len(req.To.Users)+len(req.To.Inline))
	name := func(identifier string) {
		if !seen[identifier] {
			seen[identifier] = true
			j.names = append(j.names, identifier)
		}
	}
	for _, u := range req.To.Users {
		name(u)
	}
	for _, u := range req.To.Inline {
		name(u.Identifier)
		if j.inline == nil {
			j.inline = make(map[string]model.IdentifyInput, len(req.To.Inline))
		}
		j.inline[u.Identifier] = u
	}
	return j
}

// newDueJob makes a job of a scheduled send whose time has come.
func newDueJob(env model.Environment, due *model.DueSend, category *model.Category) *job {
	m := due.Send
	return &job{
		env: env, due: due, category: category,
		req:  model.SendRequest{Content: m.Content, Channels: m.Channels, ExpiresAt: m.ExpiresAt, OnUnknown: model.UnknownSkip, Options: due.Options},
		plan: newPlanner(env, m.Channels, category, due.Options),
	}
}

// keys names the recipients that the job decides for itself.
func (j *job) keys() []model.RecipientKey {
	if j.firesLarge() {
		return nil
	}
	if j.due != nil {
		keys := make([]model.RecipientKey, len(j.due.Audience.Users))
		for i, id := range j.due.Audience.Users {
			keys[i] = model.RecipientKey{Env: j.env.ID, ID: id}
		}
		return keys
	}
	keys := make([]model.RecipientKey, len(j.names))
	for i, name := range j.names {
		keys[i] = model.RecipientKey{Env: j.env.ID, Identifier: name}
	}
	return keys
}

// firesLarge reports whether the job is a due send whose audience is left to
// the expanders.
func (j *job) firesLarge() bool { return j.due != nil && (j.due.Audience.Large() || j.slow) }

// weight is how many keys the job has.
func (j *job) weight() int {
	if j.firesLarge() {
		return 0
	}
	if j.due != nil {
		return len(j.due.Audience.Users)
	}
	return len(j.names)
}

// once is the idempotency key that counts for the job.
func (j *job) once() model.Once {
	if j.req.DryRun {
		return model.Once{}
	}
	return j.req.Once
}

// scheduled reports whether the job is accepted now to fire later.
func (j *job) scheduled() bool { return j.due == nil && !j.req.SendAt.IsZero() }

// settled reports whether nothing is left to be saved of the job.
func (j *job) settled() bool {
	return j.err != nil || j.replayed || j.lost || len(j.missing) > 0 || j.strangers
}

// reject refuses a send that names users who do not exist. found has one entry
// for each of the job's names.
func (j *job) reject(found []model.Recipient) error {
	unknown := make(map[string]bool)
	for i, r := range found {
		if _, inline := j.inline[j.names[i]]; r.ID == 0 && !inline {
			unknown[j.names[i]] = true
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	var c model.Check
	for i, name := range j.req.To.Users {
		if unknown[name] {
			c.Add(model.ProblemUnknownUser, "names no user", "to", "users", strconv.Itoa(i))
		}
	}
	return c.Err()
}

// work plans for the recipients that were found, one entry for each of the
// job's keys, as of now. Afterwards the job is settled, or pending holds all
// of the send but its ids.
func (j *job) work(found []model.Recipient, now time.Time) {
	j.missing, j.strangers, j.err = nil, false, nil
	if j.due == nil && j.req.OnUnknown == model.UnknownReject {
		if j.err = j.reject(found); j.err != nil {
			return
		}
	}
	var (
		known   []model.Recipient
		skipped []model.Skipped
		absent  int64 // recipients of a due send that were deleted since
		twice   int64 // named by an identifier they had before, too
		seen    = make(map[model.UserID]bool, len(found))
	)
	for i, r := range found {
		if r.ID != 0 && seen[r.ID] {
			twice++
			continue
		}
		seen[r.ID] = true
		switch {
		case r.ID != 0 && (!j.req.DryRun || j.due != nil):
			known = append(known, r)
		case j.due != nil:
			absent++
		default:
			j.meet(r, j.names[i], &known, &skipped)
		}
	}
	if len(j.missing) > 0 {
		return
	}
	j.pending = model.PendingSend{Once: j.once(), Fire: j.due != nil, Send: j.send(now), Attachments: j.req.Attachments, Options: j.req.Options}
	m := &j.pending.Send
	if j.due == nil {
		m.Progress.Total = int64(len(found)) - twice
	}
	large := j.isLarge(known)
	switch {
	case j.firesLarge(): // the expanders decide
	case !j.req.DryRun && (large || j.scheduled()):
		j.leave(known)
	default:
		if known, j.err = join(known, j.others); j.err != nil {
			return
		}
		if !j.scheduled() {
			j.notify(known, &skipped, now)
		}
	}
	if j.wantPlan && (j.req.DryRun || !large) {
		j.explain(known)
	}
	m.Progress.Skipped += int64(len(skipped)) + absent // a due send skipped some when it was accepted
	if m.Status == model.SendSent {
		m.Progress.Done = m.Progress.Total - m.Progress.Skipped
	}
	j.pending.Result.Skipped = skipped
	if !j.req.DryRun {
		j.pending.Result.Send = m
	}
}

// meet deals with a name that stands for nobody yet and, in a dry run, with
// one that a real send might have to create or update first.
func (j *job) meet(r model.Recipient, name string, known *[]model.Recipient, skipped *[]model.Skipped) {
	in, inline := j.inline[name]
	switch create := inline || j.req.OnUnknown == model.UnknownCreate; {
	case r.ID == 0 && !create:
		*skipped = append(*skipped, model.Skipped{Identifier: name, Reason: model.ReasonUserUnknown})
	case r.ID == 0 && !j.req.DryRun:
		j.missing = append(j.missing, name)
	case inline:
		*known = append(*known, identified(r, in))
	case r.ID == 0:
		*known = append(*known, identified(r, model.IdentifyInput{Identifier: name}))
	default:
		*known = append(*known, r)
	}
}

// send is the send that the job saves, but for its id and progress.
func (j *job) send(now time.Time) model.Send {
	if j.due != nil {
		m := j.due.Send
		m.Status, m.FiredAt = model.SendSent, now
		if j.firesLarge() {
			m.Status = model.SendExpanding
		}
		return m
	}
	m := model.Send{
		EnvID: j.env.ID, Status: model.SendSent, Content: j.req.Content, Channels: j.req.Channels,
		FiredAt: now, CreatedAt: now, SendAt: j.req.SendAt, ExpiresAt: j.req.ExpiresAt,
	}
	if j.category != nil {
		m.CategoryID = j.category.ID
	}
	if j.scheduled() {
		m.Status, m.FiredAt = model.SendScheduled, time.Time{}
	}
	return m
}

// isLarge reports whether a send to the known is left to the expanders.
func (j *job) isLarge(known []model.Recipient) bool {
	return len(known) > model.MaxSmallSend || j.hasOthers() || j.slow
}

// hasOthers reports whether the job goes to users whom it does not name.
func (j *job) hasOthers() bool {
	return len(j.topics) > 0 || len(j.segments) > 0 || j.req.To.Everyone
}

// leave notes whom the send is for, to be decided for when it fires or is
// expanded.
func (j *job) leave(known []model.Recipient) {
	a := &model.Audience{Users: make([]model.UserID, len(known)), Topics: j.topics, Segments: j.segments, Everyone: j.req.To.Everyone, Until: j.until}
	for i, r := range known {
		a.Users[i] = r.ID
	}
	m := &j.pending.Send
	if a.Grows() {
		m.Progress.Total = -1
	}
	if !j.scheduled() {
		m.Status = model.SendExpanding
	}
	j.pending.Audience = a
}

// notify makes the notifications, and the list of those whom no channel may
// reach.
func (j *job) notify(known []model.Recipient, skipped *[]model.Skipped, now time.Time) {
	p := &j.pending
	j.owners = nil
	content := p.Send.Content // on its own, so that streams keep it and not the job
	says := func(r model.Recipient) *model.Content {
		if content.Personal == 0 || j.req.DryRun {
			return &content
		}
		own, rendered := j.texts[r.ID]
		j.strangers = j.strangers || !rendered
		return content.For(own)
	}
	p.Notifications = make([]model.Notification, len(known))
	for i, r := range known {
		inInbox, reason, reached := j.plan.decide(r)
		p.Notifications[i] = model.Notification{
			EnvID: j.env.ID, UserID: r.ID, CategoryID: p.Send.CategoryID, Content: says(r),
			InInbox: inInbox, Reason: reason, SortAt: now, CreatedAt: now, ExpiresAt: p.Send.ExpiresAt,
		}
		for _, d := range j.plan.deliveries(r, &p.Notifications[i]) {
			p.Deliveries, j.owners = append(p.Deliveries, d), append(j.owners, i)
		}
		if !reached {
			*skipped = append(*skipped, model.Skipped{Identifier: r.Identifier, Reason: reason})
		}
	}
}

// explain makes the plan.
func (j *job) explain(known []model.Recipient) {
	plan := make([]model.RecipientPlan, len(known))
	for i, r := range known {
		plan[i] = model.RecipientPlan{UserID: r.ID, Identifier: r.Identifier, Channels: j.plan.explain(r)}
	}
	j.pending.Result.Plan = plan
}

// number gives the send and its notifications their ids and returns those that
// are left.
func (j *job) number(ids []int64, source *id.Source) []int64 {
	p := &j.pending
	if j.due == nil {
		p.Send.ID, p.Send.RequestID, ids = model.SendID(ids[0]), source.UUID(), ids[1:]
	}
	for i := range p.Notifications {
		p.Notifications[i].ID, p.Notifications[i].SendID = model.NotificationID(ids[i]), p.Send.ID
		if p.Result.Plan != nil {
			p.Result.Plan[i].Notification = p.Notifications[i].ID
		}
	}
	for i := range p.Deliveries {
		d := &p.Deliveries[i]
		d.ID, d.NotificationID, d.SendID = model.DeliveryID(source.New()), p.Notifications[j.owners[i]].ID, p.Send.ID
	}
	return ids[len(p.Notifications):]
}

// idsNeeded is how many ids number will take.
func (j *job) idsNeeded() int {
	if j.due != nil {
		return len(j.pending.Notifications)
	}
	return 1 + len(j.pending.Notifications)
}

// scopedKey is what two jobs may not share at the same time.
type scopedKey struct {
	env       model.EnvID
	actor     model.UserID
	operation string
	key       string
}

func (j *job) key() (scopedKey, bool) {
	o := j.once()
	return scopedKey{j.env.ID, o.Actor, o.Operation, o.Key}, o.Set()
}
