// Package slack posts to Slack: to the URL of an incoming webhook, or as an app to
// a channel or a person. All that the notification says goes as plain text, so that
// nothing in it mentions anybody or links elsewhere.
package slack

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"

	"carillon/delivery"
	"carillon/internal/dial"
	"carillon/model"
)

const usual = "https://slack.com/api"

// Kind is Slack.
var Kind = &delivery.Kind{
	Name: "slack", Title: "Slack", Channels: []model.Channel{model.ChannelSlack},
	Fields: []delivery.Field{
		delivery.EndpointField(usual),
		{Name: "botToken", Help: "token of the app (xoxb-…), for addresses that are ids of channels or people; the URLs of incoming webhooks need none", Type: delivery.FieldText, Secret: true},
	},
	New: open,
}

type sender struct {
	endpoint string
	token    string
	out      delivery.Outside
}

func open(a delivery.Account, out delivery.Outside) (delivery.Sender, error) {
	var (
		config  struct{ Endpoint string }
		secrets struct{ BotToken string }
		c       model.Check
	)
	if err := a.Into(&config, &secrets); err != nil {
		return nil, err
	}
	s := &sender{endpoint: out.Endpoint(&c, config.Endpoint, usual), token: secrets.BotToken, out: out}
	c.That(!strings.ContainsAny(s.token, " \r\n\t"), "must be a token without spaces", "secrets", "botToken")
	return s, c.Err()
}

func isURL(address string) bool { return strings.Contains(address, "://") }

// member is the id of a channel, a conversation or a person.
var member = regexp.MustCompile(`^[A-Z][A-Z0-9]{2,30}$`)

// Takes implements [delivery.Chooser].
func (s *sender) Takes(to delivery.Target) bool {
	return isURL(to.Address) || s.token != "" && member.MatchString(to.Address)
}

// Send implements [delivery.Sender].
func (s *sender) Send(ctx context.Context, m delivery.Message) (delivery.Receipt, error) {
	to, header := m.To.Address, http.Header{}
	message := compose(m)
	switch {
	case isURL(to):
		if _, err := s.out.Guard.CheckURL(to, "https", "http"); err != nil {
			return delivery.Receipt{}, delivery.Errorf(model.ClassPermanent, "the URL of the incoming webhook %v", err)
		}
	case !s.Takes(m.To):
		return delivery.Receipt{}, delivery.Errorf(model.ClassPermanent, "the address is neither the URL of an incoming webhook nor an id that the account has a bot token for")
	default:
		message["channel"], to = to, s.endpoint+"/chat.postMessage"
		header.Set("Authorization", "Bearer "+s.token)
		header.Set("Content-Type", "application/json; charset=utf-8")
	}
	body, err := delivery.JSON(message, m.Overrides)
	if err != nil {
		return delivery.Receipt{}, err
	}
	answer, err := s.out.Post(ctx, to, header, body)
	if err != nil {
		return delivery.Receipt{}, err
	}
	if isURL(m.To.Address) {
		return s.judgeHook(answer)
	}
	return s.judgeAPI(answer)
}

// Probe implements [delivery.Prober]: it asks whose the token is.
func (s *sender) Probe(ctx context.Context) error {
	if s.token == "" {
		return nil // nothing that could be wrong
	}
	answer, err := s.out.Post(ctx, s.endpoint+"/auth.test", http.Header{"Authorization": {"Bearer " + s.token}}, nil)
	if err == nil {
		_, err = s.judgeAPI(answer)
	}
	return err
}

// judgeHook judges the answer of an incoming webhook: a word in plain text.
func (s *sender) judgeHook(a *dial.Answer) (delivery.Receipt, error) {
	word := string(bytes.TrimSpace(a.Body))
	if err := delivery.StatusError(a.Status, a.Header, a.Body, s.out.Now()); err != nil {
		switch {
		case dead[word], a.Status == http.StatusNotFound:
			err.Class = model.ClassAddressDead // the URL is the address
		case err.Class == model.ClassAuth:
			err.Class = model.ClassPermanent // there is no credential of ours in it
		}
		return delivery.Receipt{}, err
	}
	if !strings.EqualFold(word, "ok") && word != "" {
		return delivery.Receipt{}, delivery.Unreadable(a)
	}
	return delivery.Receipt{Status: a.Status, Answer: word}, nil
}

// judgeAPI judges an answer of the Web API, whose failures are a 200 too.
func (s *sender) judgeAPI(a *dial.Answer) (delivery.Receipt, error) {
	if err := delivery.StatusError(a.Status, a.Header, a.Body, s.out.Now()); err != nil {
		return delivery.Receipt{}, err
	}
	var said struct {
		OK    *bool
		Error string
		TS    string
	}
	if json.Unmarshal(a.Body, &said) != nil || said.OK == nil {
		return delivery.Receipt{}, delivery.Unreadable(a)
	}
	if !*said.OK {
		return delivery.Receipt{}, &delivery.Error{
			Class: classOf(said.Error), Status: a.Status, Answer: string(a.Body), Message: "Slack answered " + said.Error,
			RetryAfter: delivery.RetryAfter(a.Header.Get("Retry-After"), s.out.Now()),
		}
	}
	return delivery.Receipt{MessageID: said.TS, Status: a.Status, Answer: string(a.Body)}, nil
}

var dead = map[string]bool{
	"channel_not_found": true, "channel_is_archived": true, "is_archived": true, "user_not_found": true, "users_not_found": true,
	"user_disabled": true, "no_service": true, "no_active_hooks": true, "no_team": true, "team_disabled": true, "cannot_dm_bot": true,
}

func classOf(word string) model.ErrorClass {
	switch word {
	case "ratelimited", "rate_limited", "message_limit_exceeded":
		return model.ClassRateLimited
	case "fatal_error", "internal_error", "service_unavailable", "request_timeout", "team_added_to_org":
		return model.ClassTransient
	case "invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "no_permission", "missing_scope", "org_login_required", "access_denied":
		return model.ClassAuth
	}
	if dead[word] {
		return model.ClassAddressDead
	}
	return model.ClassPermanent
}

// Limits of Slack's blocks, in characters; bytes keep well below them.
const (
	maxHeader  = 150
	maxSection = 3000
	maxButton  = 75
	maxButtons = 25
	maxURL     = 3000
)

func plain(text string, limit int) map[string]any {
	return map[string]any{"type": "plain_text", "text": delivery.Cut(text, limit), "emoji": false}
}

// escape takes from the one text that Slack parses what it would parse.
var escape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// compose writes the message in blocks of plain text; text is what notifications of
// Slack itself show.
func compose(m delivery.Message) map[string]any {
	blocks := []any{map[string]any{"type": "header", "text": plain(delivery.OneLine(m.Title), maxHeader)}}
	if text := strings.TrimSpace(m.Text); text != "" {
		blocks = append(blocks, map[string]any{"type": "section", "text": plain(text, maxSection)})
	}
	links := m.Links()
	if m.URL != "" {
		links = append(links, model.Block{ID: "url", Text: "Open", Link: m.URL})
	}
	var buttons []any
	for _, l := range links {
		if len(l.Link) > maxURL || len(buttons) == maxButtons {
			continue
		}
		label := delivery.OneLine(l.Text)
		if label == "" {
			label = "Open"
		}
		buttons = append(buttons, map[string]any{"type": "button", "text": plain(label, maxButton), "url": l.Link})
	}
	if len(buttons) > 0 {
		blocks = append(blocks, map[string]any{"type": "actions", "elements": buttons})
	}
	return map[string]any{
		"text": escape.Replace(delivery.OneLine(m.Title)), "blocks": blocks,
		"unfurl_links": false, "unfurl_media": false, "link_names": false, "mrkdwn": false,
	}
}
