package engagespot

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"carillon/model"
	"carillon/rest"
)

// accepted is the answer to a send: durable, not yet delivered.
type accepted struct {
	RequestID string `json:"requestId"`
}

// send takes a request to notify. Recipients that name nobody are left out, and
// listed with the send; those that come as objects are created or updated.
func (a *API) send(r *http.Request) (int, any, error) {
	ctx := r.Context()
	c := caller(ctx)
	body, err := rest.Body(r, rest.MaxBulkBody)
	if err != nil {
		return 0, nil, err
	}
	req, err := sendRequest(body)
	if err != nil {
		return 0, nil, err
	}
	if req.Once, err = rest.Once(r, c, "sendNotification", body); err != nil {
		return 0, nil, err
	}
	out, err := a.Sends.Send(ctx, c.Env, req.SendRequest)
	if err != nil {
		return 0, nil, inBlocks(named(err, req.words()...))
	}
	return http.StatusAccepted, accepted{out.Value.Send.RequestID}, nil
}

// inBlocks puts what blocks may be into the caller's words, too.
func inBlocks(err error) error {
	e, ok := errors.AsType[*model.Error](err)
	if !ok {
		return err
	}
	for i, p := range e.Problems {
		if field := p.Field(); strings.HasPrefix(field, "notification.blocks.") && (strings.HasSuffix(field, ".type") || strings.HasSuffix(field, ".variant")) {
			e.Problems[i].Message = wireWord(p.Message)
		}
	}
	return err
}

// sendRead is a send as it was read, with what its problems are to be called.
type sendRead struct {
	model.SendRequest
	users  []string // where each user stands in the body
	inline []string // and each that comes as an object
	// overrides is where each override stands.
	overrides []string
}

// words are the ways into the body for those that the model has.
func (s sendRead) words() [][2]string {
	words := [][2]string{{"to.topics", "sendTo.topics"}}
	for i, at := range s.users {
		words = append(words, [2]string{"to.users." + strconv.Itoa(i), at})
	}
	for i, at := range s.inline {
		user := "to.inlineUsers." + strconv.Itoa(i)
		words = append(words, [2]string{user + ".profile", at}, [2]string{user, at})
	}
	for i, at := range s.overrides {
		words = append(words, [2]string{"overrides." + strconv.Itoa(i), at})
	}
	return append(words,
		[2]string{"to", "sendTo"}, [2]string{"overrides", "override"},
		[2]string{"title", "notification.title"}, [2]string{"body", "notification.message"}, [2]string{"icon", "notification.icon"},
		[2]string{"url", "notification.url"}, [2]string{"blocks", "notification.blocks"}, [2]string{"category", "notification.category"},
		[2]string{"channels", "override.channels"}, [2]string{"template", "notification.templateIdentifier"},
	)
}

// sendRequest reads the body of a send.
func sendRequest(body json.RawMessage) (sendRead, error) {
	var check model.Check
	in := rest.Object(body, &check)
	out := sendRead{SendRequest: model.SendRequest{OnUnknown: model.UnknownSkip, CreateCategory: true}}
	if !in.Has("notification") {
		check.Add(model.ProblemRequired, "is required: an object", "notification")
	}
	n := in.Object("notification")
	if err := notHere(n, &check); err != nil {
		return out, err
	}
	out.Template = n.Text("templateIdentifier")
	out.Content = model.Content{
		Title: n.Text("title"), Body: n.Text("message"), Icon: n.Text("icon"), URL: n.Text("url"), Blocks: blocks(n),
	}
	if out.Category = n.Text("category"); out.Category == "" {
		out.Category = in.Text("category")
	}
	readData(&out, in, n, &check)
	readTarget(&out, in)
	readOverride(&out, in, n, &check)
	out.SendAt = sendAt(in)
	if err := check.Err(); err != nil {
		return out, err
	}
	return out, nil
}

// notHere refuses what names something that this server does not have: templates
// have no numbers, and there are no workflows.
func notHere(n rest.Members, check *model.Check) error {
	if raw := string(n.Raw("templateId")); raw != "" && raw != `""` && raw != "0" { // which are nothing in some languages
		return model.NotFound("names no template of this environment: name it by templateIdentifier", "notification", "templateId")
	}
	if n.Has("workflow") {
		w := n.Object("workflow")
		w.Required("identifier")
		if err := check.Err(); err != nil {
			return err
		}
		return model.Errorf(model.KindNotFound, "notification.workflow.identifier names no workflow of this environment")
	}
	return nil
}

// readData merges the payload from its two places; the outer one wins. The
// attachments in it are for e-mail, and no part of the inbox.
func readData(out *sendRead, in, n rest.Members, check *model.Check) {
	inner, outer := n.ObjectText("data"), in.ObjectText("data")
	if inner == nil && outer == nil {
		return
	}
	merged := map[string]json.RawMessage{}
	for _, object := range []json.RawMessage{inner, outer} {
		if object != nil {
			_ = json.Unmarshal(object, &merged) // an object, as ObjectText says
		}
	}
	if raw, ok := merged["attachments"]; ok {
		if list, are := attachments(raw, check.At("data")); are {
			out.Attachments = list
			delete(merged, "attachments")
		}
	}
	data, err := model.EncodeJSON(merged)
	if err != nil {
		check.Add(model.ProblemInvalid, "must be valid JSON", "data")
	}
	if len(merged) > 0 {
		out.Content.Data = data
	}
}

// attachments reads files. A member of that name which is no list of objects is
// the customer's own, and payload.
func attachments(raw json.RawMessage, check *model.Check) (list []model.Attachment, are bool) {
	var items []map[string]json.RawMessage
	if json.Unmarshal(raw, &items) != nil || len(items) == 0 {
		return nil, false
	}
	for i, item := range items {
		encoded, err := json.Marshal(item)
		if err != nil {
			return nil, false
		}
		at := check.At("attachments", strconv.Itoa(i))
		m := rest.Object(encoded, at)
		m.Required("name", "content")
		content, err := base64.StdEncoding.DecodeString(m.Text("content"))
		at.That(err == nil, "must be base64", "content")
		list = append(list, model.Attachment{Name: m.Text("name"), ContentType: m.Text("contentType"), Key: m.Text("attachmentKey"), Content: content})
	}
	return list, true
}

// readTarget reads who it is for, from the old place and the new.
func readTarget(out *sendRead, in rest.Members) {
	for i, name := range in.Texts("recipients") {
		out.To.Users, out.users = append(out.To.Users, name), append(out.users, "recipients."+strconv.Itoa(i))
	}
	to := in.Object("sendTo")
	out.To.Topics = to.Texts("topics")
	for i, raw := range to.List("recipients") {
		at, where := to.Check("recipients", strconv.Itoa(i)), "sendTo.recipients."+strconv.Itoa(i)
		switch {
		case raw[0] == '"':
			var name string
			at.That(json.Unmarshal(raw, &name) == nil, "must be text")
			out.To.Users, out.users = append(out.To.Users, name), append(out.users, where)
			continue
		case raw[0] != '{':
			at.Add(model.ProblemInvalid, "must be text, an identifier, or an object with one")
			continue
		}
		if u, ok := inline(raw, at); ok {
			out.To.Inline, out.inline = append(out.To.Inline, u), append(out.inline, where)
		}
	}
	if named := len(out.To.Users) + len(out.To.Inline) + len(out.To.Topics); named == 0 {
		to.Check().Add(model.ProblemRequired, "must name at least one recipient: in recipients or in topics")
	}
}

// inline is a recipient that comes as an object: the identifier and, beside it,
// what is known of them.
func inline(raw json.RawMessage, at *model.Check) (u model.IdentifyInput, ok bool) {
	m := rest.Object(raw, at)
	m.Required("identifier")
	u.Identifier = m.Text("identifier")
	attributes := map[string]json.RawMessage{}
	for _, name := range m.Names() {
		if value := m.Raw(name); value != nil && name != "identifier" {
			attributes[name] = value
		}
	}
	if len(attributes) > 0 {
		encoded, err := model.EncodeJSON(attributes)
		if err != nil {
			at.Add(model.ProblemInvalid, "must be valid JSON")
		}
		var tokens []string
		if u.Attributes, tokens, err = takeTokens(encoded, at); err != nil {
			return u, false
		}
		u.Devices = tokenDevices(tokens)
	}
	return u, at.OK()
}

// blocks reads the actionable parts, as they are shown again.
func blocks(n rest.Members) []model.Block {
	list := n.List("blocks")
	out := make([]model.Block, len(list))
	for i, raw := range list {
		b := rest.Object(raw, n.Check("blocks", strconv.Itoa(i)))
		out[i] = model.Block{
			ID: b.Text("id"), Type: ourWord(b.Text("type")), Text: b.Text("text"), Variant: ourWord(b.Text("variant")),
			Link: b.Text("link"), ExternalLink: b.Bool("externalLink"), Src: b.Text("src"),
		}
	}
	return out
}

// sendAt reads when it is to go out: a time with its zone.
func sendAt(in rest.Members) time.Time {
	text := in.Text("sendAt")
	if text == "" {
		return time.Time{}
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700", "2006-01-02T15:04Z07:00"} {
		if at, err := time.Parse(layout, text); err == nil {
			if at.Year() < 1 || at.Year() > 9999 {
				break
			}
			return at
		}
	}
	in.Check("sendAt").Add(model.ProblemInvalid, "must be a time in ISO 8601 with its zone, such as 2026-01-31T09:00:00Z")
	return time.Time{}
}
