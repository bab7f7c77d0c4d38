package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Client is a back end that talks GraphQL.
type Client struct {
	URL        string
	Credential string
	http       *http.Client
}

// NewClient makes a client of the server at url ("http://host:port"), which
// keeps its own connections and gives an answer ten seconds.
func NewClient(url, credential string) *Client {
	return NewPatientClient(url, credential, 10*time.Second)
}

// NewPatientClient is NewClient with another time for an answer.
func NewPatientClient(url, credential string, patience time.Duration) *Client {
	transport := &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}
	return &Client{URL: url + "/graphql", Credential: credential, http: &http.Client{Timeout: patience, Transport: transport}}
}

// Close lets go of connections that are not in use.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// AnswerError is an answer that refused the request: the server spoke, and said
// no. Everything else leaves the outcome unknown.
type AnswerError struct {
	Status int
	Body   string
}

func (e *AnswerError) Error() string { return fmt.Sprintf("answer %d: %s", e.Status, e.Body) }

// Temporary reports whether the answer asks to come back.
func (e *AnswerError) Temporary() bool {
	return e.Status == http.StatusServiceUnavailable || e.Status == http.StatusTooManyRequests
}

// Do posts one operation and decodes data into out.
func (c *Client) Do(ctx context.Context, query string, variables map[string]any, out any) error {
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/graphql-response+json")
	req.Header.Set("Authorization", "Bearer "+c.Credential)
	res, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	data, err := dataOf(res.StatusCode, raw)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, out)
}

// dataOf is the data of an answer, or the error that it is. Whatever the
// carrier's status, an error code that has a status of its own gets that.
func dataOf(status int, raw []byte) (json.RawMessage, error) {
	var answer struct {
		Data   json.RawMessage
		Errors []struct {
			Extensions struct{ Code string }
		}
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return nil, &AnswerError{status, string(raw)}
	}
	if len(answer.Errors) == 0 && status == http.StatusOK {
		return answer.Data, nil
	}
	if len(answer.Errors) > 0 {
		switch answer.Errors[0].Extensions.Code {
		case "UNAVAILABLE":
			status = http.StatusServiceUnavailable
		case "RATE_LIMITED":
			status = http.StatusTooManyRequests
		case "INTERNAL":
			status = http.StatusInternalServerError
		}
	}
	return nil, &AnswerError{status, string(raw)}
}

// refusedBy is the error of a list of GraphQL errors that stands alone.
func refusedBy(errs json.RawMessage) error {
	_, err := dataOf(http.StatusOK, []byte(`{"errors":`+string(errs)+`}`))
	return err
}

type userError struct {
	Code    string
	Path    []string
	Message string
}

const identifyUsers = `mutation ($users: [IdentifyUserInput!]!) { identifyUsers(input: {users: $users}) { results { userErrors { message } } userErrors { message } } }`

// Identify makes users u0 … u(n-1).
func (c *Client) Identify(ctx context.Context, n int) ([]string, error) {
	names := make([]string, n)
	users := make([]map[string]any, n)
	for i := range n {
		names[i] = fmt.Sprintf("u%d", i)
		users[i] = map[string]any{"identifier": names[i]}
	}
	var out struct {
		IdentifyUsers struct{ UserErrors []userError }
	}
	if err := c.Do(ctx, identifyUsers, map[string]any{"users": users}, &out); err != nil {
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

// sent is what sendNotification answers.
type sent struct {
	SendNotification struct {
		Send       *struct{ ID string }
		Replayed   bool
		UserErrors []userError
	}
}

// Send notifies, and returns the id of the send.
func (c *Client) Send(ctx context.Context, to []string, title, key string) (id string, replayed bool, err error) {
	var out sent
	if err := c.Do(ctx, sendNotification, map[string]any{"to": to, "title": title, "key": key}, &out); err != nil {
		return "", false, err
	}
	return out.outcome()
}

// Send is Client.Send over the socket.
func (s *Socket) Send(to []string, title, key string) (id string, replayed bool, err error) {
	var out sent
	if err := s.Do(sendNotification, map[string]any{"to": to, "title": title, "key": key}, &out); err != nil {
		return "", false, err
	}
	return out.outcome()
}

func (o sent) outcome() (id string, replayed bool, err error) {
	p := o.SendNotification
	if len(p.UserErrors) > 0 {
		if p.UserErrors[0].Code == "IDEMPOTENCY_IN_PROGRESS" {
			return "", false, &AnswerError{http.StatusServiceUnavailable, p.UserErrors[0].Message}
		}
		return "", false, &AnswerError{http.StatusOK, fmt.Sprint(p.UserErrors)}
	}
	return p.Send.ID, p.Replayed, nil
}

const listNotifications = `query ($user: String!, $after: PageCursor) {
	notifications(first: 100, after: $after, filter: {user: $user}) { nodes { id title send { id } } pageInfo { hasNextPage endCursor } }
}`

// Notification is what the log says of one.
type Notification struct {
	ID    string
	Title string
	Send  struct{ ID string }
}

// Notifications reads everything a user was ever sent.
func (c *Client) Notifications(ctx context.Context, user string) ([]Notification, error) {
	var all []Notification
	var after *string
	for {
		var out struct {
			Notifications struct {
				Nodes    []Notification
				PageInfo struct {
					HasNextPage bool
					EndCursor   *string
				}
			}
		}
		if err := c.Do(ctx, listNotifications, map[string]any{"user": user, "after": after}, &out); err != nil {
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
	markNotifications(input: {user: $user, ids: $ids, as: $as, idempotencyKey: $key}) { position replayed userErrors { code path message } }
}`

// Mark marks notifications of a user, and returns the position of the inbox
// then.
func (c *Client) Mark(ctx context.Context, user string, ids []string, as, key string) (position string, replayed bool, err error) {
	var out struct {
		MarkNotifications struct {
			Position   string
			Replayed   bool
			UserErrors []userError
		}
	}
	if err := c.Do(ctx, markNotifications, map[string]any{"user": user, "ids": ids, "as": as, "key": key}, &out); err != nil {
		return "", false, err
	}
	if e := out.MarkNotifications.UserErrors; len(e) > 0 {
		status := http.StatusOK
		if e[0].Code == "IDEMPOTENCY_IN_PROGRESS" {
			status = http.StatusServiceUnavailable
		}
		return "", false, &AnswerError{status, fmt.Sprint(e)}
	}
	return out.MarkNotifications.Position, out.MarkNotifications.Replayed, nil
}

const notificationOf = `query ($send: ID!, $user: String!) { notifications(first: 1, filter: {send: $send, user: $user}) { nodes { id } } }`

// NotificationOf is the id of what a user got of a send.
func (c *Client) NotificationOf(ctx context.Context, send, user string) (string, error) {
	var out struct {
		Notifications struct{ Nodes []struct{ ID string } }
	}
	if err := c.Do(ctx, notificationOf, map[string]any{"send": send, "user": user}, &out); err != nil {
		return "", err
	}
	if len(out.Notifications.Nodes) != 1 {
		return "", &AnswerError{http.StatusOK, fmt.Sprintf("%s has %d notifications of %s", user, len(out.Notifications.Nodes), send)}
	}
	return out.Notifications.Nodes[0].ID, nil
}

const markAll = `mutation ($user: String!, $as: MarkState!, $key: String) { markAllNotifications(input: {user: $user, as: $as, idempotencyKey: $key}) { userErrors { code path message } } }`

// MarkAll marks all of a user's inbox.
func (c *Client) MarkAll(ctx context.Context, user, as, key string) error {
	var out struct {
		MarkAllNotifications struct{ UserErrors []userError }
	}
	if err := c.Do(ctx, markAll, map[string]any{"user": user, "as": as, "key": key}, &out); err != nil {
		return err
	}
	if e := out.MarkAllNotifications.UserErrors; len(e) > 0 {
		return &AnswerError{http.StatusOK, fmt.Sprint(e)}
	}
	return nil
}
