package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// client is a back end that talks GraphQL.
type client struct {
	url        string
	credential string
	http       *http.Client
}

func newClient(url, credential string) *client {
	return &client{url: url + "/graphql", credential: credential, http: &http.Client{Timeout: 10 * time.Second}}
}

// answerError is an answer that refused the request: the server spoke, and said
// no. Everything else leaves the outcome unknown.
type answerError struct {
	status int
	body   string
}

func (e *answerError) Error() string { return fmt.Sprintf("answer %d: %s", e.status, e.body) }

// temporary reports whether the answer asks to come back.
func (e *answerError) temporary() bool {
	return e.status == http.StatusServiceUnavailable || e.status == http.StatusTooManyRequests
}

// do posts one operation and decodes data into out.
func (c *client) do(ctx context.Context, query string, variables map[string]any, out any) error {
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/graphql-response+json")
	req.Header.Set("Authorization", "Bearer "+c.credential)
	res, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	var answer struct {
		Data   json.RawMessage
		Errors []struct {
			Extensions struct{ Code string }
		}
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return &answerError{res.StatusCode, string(raw)}
	}
	if len(answer.Errors) > 0 || res.StatusCode != http.StatusOK {
		status := res.StatusCode
		if len(answer.Errors) > 0 && answer.Errors[0].Extensions.Code == "UNAVAILABLE" {
			status = http.StatusServiceUnavailable
		}
		return &answerError{status, string(raw)}
	}
	return json.Unmarshal(answer.Data, out)
}

type userError struct {
	Code    string
	Path    []string
	Message string
}

const identifyUsers = `mutation ($users: [IdentifyUserInput!]!) { identifyUsers(input: {users: $users}) { results { userErrors { message } } userErrors { message } } }`

// identify makes users u0 … u(n-1).
func (c *client) identify(ctx context.Context, n int) ([]string, error) {
	names := make([]string, n)
	users := make([]map[string]any, n)
	for i := range n {
		names[i] = fmt.Sprintf("u%d", i)
		users[i] = map[string]any{"identifier": names[i]}
	}
	var out struct {
		IdentifyUsers struct{ UserErrors []userError }
	}
	if err := c.do(ctx, identifyUsers, map[string]any{"users": users}, &out); err != nil {
		return nil, err
	}
	if len(out.IdentifyUsers.UserErrors) > 0 {
		return nil, fmt.Errorf("identifying users: %v", out.IdentifyUsers.UserErrors)
	}
	return names, nil
}

const sendNotification = `mutation ($to: [String!]!, $title: String!, $key: String) {
	sendNotification(input: {to: {users: $to}, title: $title, idempotencyKey: $key}) { send { id } replayed userErrors { code path message } }
}`

// send notifies, and returns the id of the send.
func (c *client) send(ctx context.Context, to []string, title, key string) (id string, replayed bool, err error) {
	var out struct {
		SendNotification struct {
			Send       *struct{ ID string }
			Replayed   bool
			UserErrors []userError
		}
	}
	if err := c.do(ctx, sendNotification, map[string]any{"to": to, "title": title, "key": key}, &out); err != nil {
		return "", false, err
	}
	p := out.SendNotification
	if len(p.UserErrors) > 0 {
		if p.UserErrors[0].Code == "IDEMPOTENCY_IN_PROGRESS" {
			return "", false, &answerError{http.StatusServiceUnavailable, p.UserErrors[0].Message}
		}
		return "", false, &answerError{http.StatusOK, fmt.Sprint(p.UserErrors)}
	}
	return p.Send.ID, p.Replayed, nil
}

const listNotifications = `query ($user: String!, $after: PageCursor) {
	notifications(first: 100, after: $after, filter: {user: $user}) { nodes { id title send { id } } pageInfo { hasNextPage endCursor } }
}`

type notification struct {
	ID    string
	Title string
	Send  struct{ ID string }
}

// notifications reads everything a user was ever sent.
func (c *client) notifications(ctx context.Context, user string) ([]notification, error) {
	var all []notification
	var after *string
	for {
		var out struct {
			Notifications struct {
				Nodes    []notification
				PageInfo struct {
					HasNextPage bool
					EndCursor   *string
				}
			}
		}
		if err := c.do(ctx, listNotifications, map[string]any{"user": user, "after": after}, &out); err != nil {
			return nil, err
		}
		all = append(all, out.Notifications.Nodes...)
		if !out.Notifications.PageInfo.HasNextPage {
			return all, nil
		}
		after = out.Notifications.PageInfo.EndCursor
	}
}

const markNotifications = `mutation ($user: String!, $ids: [ID!]!, $as: MarkState!, $key: String) {
	markNotifications(input: {user: $user, ids: $ids, as: $as, idempotencyKey: $key}) { replayed userErrors { code path message } }
}`

// mark marks notifications of a user.
func (c *client) mark(ctx context.Context, user string, ids []string, as, key string) error {
	var out struct {
		MarkNotifications struct{ UserErrors []userError }
	}
	if err := c.do(ctx, markNotifications, map[string]any{"user": user, "ids": ids, "as": as, "key": key}, &out); err != nil {
		return err
	}
	if e := out.MarkNotifications.UserErrors; len(e) > 0 {
		return &answerError{http.StatusOK, fmt.Sprint(e)}
	}
	return nil
}
