package lab

import (
	"context"
	"fmt"
	"net/http"
	"sync"
)

// crowdLanes is how many calls of Crowd are on their way at the same time.
const crowdLanes = 2

const (
	createTopic = `mutation ($topic: String!) { createTopic(input: {identifier: $topic, name: $topic}) { userErrors { code path message } } }`
	subscribe   = `mutation ($topic: String!, $users: [TopicSubscriberInput!]!) {
		subscribeToTopic(input: {topic: $topic, users: $users}) { changed notFound userErrors { code path message } }
	}`
)

// Crowd makes users u00000 … and puts all of them on a new topic.
func (c *Client) Crowd(ctx context.Context, topic string, n int) error {
	var made struct {
		CreateTopic struct{ UserErrors []userError }
	}
	if err := c.Do(ctx, createTopic, map[string]any{"topic": topic}, &made); err != nil {
		return err
	}
	if e := made.CreateTopic.UserErrors; len(e) > 0 {
		return fmt.Errorf("making a topic: %v", e)
	}
	const batch = 1000
	var wg sync.WaitGroup
	errs := make([]error, crowdLanes)
	for lane := range crowdLanes {
		wg.Go(func() {
			for from := lane * batch; from < n && errs[lane] == nil; from += crowdLanes * batch {
				errs[lane] = c.join(ctx, topic, from, min(from+batch, n))
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// join makes the users from … to-1 and puts them on a topic.
func (c *Client) join(ctx context.Context, topic string, from, to int) error {
	users := make([]map[string]any, 0, to-from)
	for i := from; i < to; i++ {
		users = append(users, map[string]any{"identifier": fmt.Sprintf("u%05d", i)})
	}
	var made struct {
		IdentifyUsers struct{ UserErrors []userError }
	}
	if err := c.Do(ctx, identifyUsers, map[string]any{"users": users}, &made); err != nil {
		return err
	}
	var put struct {
		SubscribeToTopic struct {
			Changed    int
			UserErrors []userError
		}
	}
	if err := c.Do(ctx, subscribe, map[string]any{"topic": topic, "users": users}, &put); err != nil {
		return err
	}
	if s := put.SubscribeToTopic; s.Changed != to-from || len(s.UserErrors) > 0 || len(made.IdentifyUsers.UserErrors) > 0 {
		return fmt.Errorf("putting users on a topic: %v, %+v", made.IdentifyUsers.UserErrors, s)
	}
	return nil
}

// Progress is where a large send stands. Total is negative while it is not
// known.
type Progress struct {
	ID                           string
	Status                       string
	Total, Done, Skipped, Failed int
}

type sendNode struct {
	ID       string
	Status   string
	Progress struct {
		Total                 *int
		Done, Skipped, Failed int
	}
}

func (n *sendNode) progress() Progress {
	p := Progress{ID: n.ID, Status: n.Status, Total: -1, Done: n.Progress.Done, Skipped: n.Progress.Skipped, Failed: n.Progress.Failed}
	if n.Progress.Total != nil {
		p.Total = *n.Progress.Total
	}
	return p
}

const progressFields = `id status progress { total done skipped failed }`

// Broadcast sends to a topic; key may be empty.
func (c *Client) Broadcast(ctx context.Context, topic, title, key string) (Progress, error) {
	const broadcast = `mutation ($topic: String!, $title: String!, $key: String) {
		sendNotification(input: {to: {topics: [$topic]}, title: $title, idempotencyKey: $key}) { send { ` + progressFields + ` } userErrors { code path message } }
	}`
	var out struct {
		SendNotification struct {
			Send       *sendNode
			UserErrors []userError
		}
	}
	variables := map[string]any{"topic": topic, "title": title}
	if key != "" {
		variables["key"] = key
	}
	if err := c.Do(ctx, broadcast, variables, &out); err != nil {
		return Progress{}, err
	}
	if out.SendNotification.Send == nil {
		return Progress{}, &AnswerError{http.StatusOK, fmt.Sprint(out.SendNotification.UserErrors)}
	}
	return out.SendNotification.Send.progress(), nil
}

// Progress reads where a send stands.
func (c *Client) Progress(ctx context.Context, id string) (Progress, error) {
	var out struct{ Send *sendNode }
	if err := c.Do(ctx, `query ($id: ID!) { send(id: $id) { `+progressFields+` } }`, map[string]any{"id": id}, &out); err != nil {
		return Progress{}, err
	}
	if out.Send == nil {
		return Progress{}, &AnswerError{http.StatusOK, "there is no such send"}
	}
	return out.Send.progress(), nil
}

// Cancel cancels a send.
func (c *Client) Cancel(ctx context.Context, id string) (Progress, error) {
	var out struct {
		CancelSend struct {
			Send       *sendNode
			UserErrors []userError
		}
	}
	if err := c.Do(ctx, `mutation ($id: ID!) { cancelSend(input: {id: $id}) { send { `+progressFields+` } userErrors { code path message } } }`, map[string]any{"id": id}, &out); err != nil {
		return Progress{}, err
	}
	if out.CancelSend.Send == nil {
		return Progress{}, &AnswerError{http.StatusOK, fmt.Sprint(out.CancelSend.UserErrors)}
	}
	return out.CancelSend.Send.progress(), nil
}

// EditSend changes the headline of a send.
func (c *Client) EditSend(ctx context.Context, id, title, key string) error {
	var out struct {
		EditSend struct {
			UserErrors []userError
		}
	}
	const edit = `mutation ($id: ID!, $title: String!, $key: String!) { editSend(input: {id: $id, title: $title, idempotencyKey: $key}) { userErrors { code path message } } }`
	if err := c.Do(ctx, edit, map[string]any{"id": id, "title": title, "key": key}, &out); err != nil {
		return err
	}
	if len(out.EditSend.UserErrors) > 0 {
		return &AnswerError{http.StatusOK, fmt.Sprint(out.EditSend.UserErrors)}
	}
	return nil
}

// CrowdInbox is the inbox of one of many.
type CrowdInbox struct {
	User     string
	Titles   []string // the newest ten
	Total    int
	Position string
}

// EachInbox reads every user's inbox, newest user first.
func (c *Client) EachInbox(ctx context.Context, each func(CrowdInbox) error) error {
	const list = `query ($after: PageCursor) {
		users(first: 100, after: $after) { nodes { identifier inbox(first: 10) { nodes { title } counters { total } position } } pageInfo { hasNextPage endCursor } }
	}`
	var after *string
	for {
		var out struct {
			Users struct {
				Nodes []struct {
					Identifier string
					Inbox      struct {
						Nodes    []struct{ Title string }
						Counters struct{ Total int }
						Position string
					}
				}
				PageInfo struct {
					HasNextPage bool
					EndCursor   *string
				}
			}
		}
		if err := c.Do(ctx, list, map[string]any{"after": after}, &out); err != nil {
			return err
		}
		for _, u := range out.Users.Nodes {
			one := CrowdInbox{User: u.Identifier, Total: u.Inbox.Counters.Total, Position: u.Inbox.Position}
			for _, n := range u.Inbox.Nodes {
				one.Titles = append(one.Titles, n.Title)
			}
			if err := each(one); err != nil {
				return err
			}
		}
		if !out.Users.PageInfo.HasNextPage {
			return nil
		}
		after = out.Users.PageInfo.EndCursor
	}
}
