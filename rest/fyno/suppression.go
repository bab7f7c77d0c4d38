package fyno

import (
	"errors"
	"fmt"
	"net/http"
	"slices"

	"carillon/model"
	"carillon/rest"
)

// suppressionObject is an entry of the suppression list.
type suppressionObject struct {
	ID          string  `json:"_id"`
	Destination string  `json:"destination"`
	Channel     string  `json:"channel"`
	Description string  `json:"description"`
	CreatedAt   string  `json:"created_at"`
	ExpiresAt   *string `json:"expiry_ts"`
}

// maxShown is how many suppressions are listed, the newest.
const maxShown = 1000

// suppressions lists the newest suppressions, of a channel or a destination if
// the query names one.
func (a *API) suppressions(r *http.Request) (int, any, error) {
	c, err := a.begin(r, "", rest.MaxBody)
	if err != nil {
		return 0, nil, err
	}
	q := r.URL.Query()
	f := model.SuppressionFilter{Address: q.Get("destination")}
	if word := q.Get("channel"); word != "" {
		var known bool
		f.Channel, known = channelWords[word]
		c.check.That(known, "must be one of the channels "+channelList(), "channel")
	}
	if err := c.check.Err(); err != nil {
		return 0, nil, err
	}
	out := []suppressionObject{}
	err = c.eachSuppression(f, func(m model.Suppression) bool {
		o := suppressionObject{ID: string(m.ID), Destination: m.Address, Channel: wordOf(m.Channel), Description: m.Detail, CreatedAt: moment(m.CreatedAt)}
		if !m.ExpiresAt.IsZero() {
			o.ExpiresAt = text(moment(m.ExpiresAt))
		}
		out = append(out, o)
		return len(out) < maxShown
	})
	return http.StatusOK, out, err
}

// eachSuppression reads suppressions until do has had enough.
func (c *call) eachSuppression(f model.SuppressionFilter, do func(model.Suppression) bool) error {
	page := model.PageRequest{Limit: 100}
	for {
		found, err := c.Suppressions.Suppressions(c.ctx(), c.env, f, page)
		if err != nil {
			return err
		}
		for _, m := range found.Items {
			if !do(m) {
				return nil
			}
		}
		if !found.HasMore {
			return nil
		}
		last := found.Items[len(found.Items)-1]
		page.After = &model.PageKey{At: last.CreatedAt, Text: string(last.ID)}
	}
}

// suppress puts a destination on the list, or all that a profile has for the
// channel.
func (a *API) suppress(r *http.Request) (int, any, error) {
	c, err := a.begin(r, "", rest.MaxBody)
	if err != nil {
		return 0, nil, err
	}
	c.body.Required("channel")
	channel := c.channel(c.body.Text("channel"))
	m := model.Suppression{Channel: channel, Reason: model.SuppressedManual, Detail: c.body.Text("description")}
	if text := c.body.Text("expiry_ts"); text != "" {
		at, ok := model.ParseDate(text)
		c.check.That(ok, "must be a date, such as 2027-01-12T05:24:39Z", "expiry_ts")
		m.ExpiresAt = at
	}
	c.check.That(c.body.Has("distinct_id") || c.body.Has("destination"), "is required, or destination", "distinct_id")
	id, destinations := c.body.Text("distinct_id"), []string{}
	if destination := c.body.Text("destination"); id == "" && destination != "" && channel != 0 {
		destinations = append(destinations, c.checked(channel, destination, c.check.At("destination")))
	}
	if err := c.check.Err(); err != nil {
		return 0, nil, err
	}
	if id != "" {
		if destinations, err = c.destinations(channel, id); err != nil {
			return 0, nil, err
		}
	}
	for _, d := range destinations {
		m.Address = d
		if _, err := a.Suppressions.Suppress(c.ctx(), c.env, model.Once{}, m); err != nil {
			return 0, nil, renamed(err)
		}
	}
	return http.StatusOK, ok("User has been added to the suppression!"), nil
}

// channel reads the name of a channel that has destinations.
func (c *call) channel(word string) model.Channel {
	channel, known := channelWords[word]
	c.check.That(word == "" || known && channel != model.ChannelInApp, "must be a channel with destinations, one of "+channelList(), "channel")
	return channel
}

// destinations are those that a profile has for a channel; 0: for all.
func (c *call) destinations(channel model.Channel, id string) ([]string, error) {
	u, err := c.profile(id)
	if err != nil {
		return nil, err
	}
	addresses, err := c.Users.Addresses(c.ctx(), model.UserRef{Env: c.env, ID: u.ID})
	if err != nil {
		return nil, err
	}
	var out []string
	for _, a := range addresses {
		if (channel == 0 || a.Channel == channel) && !slices.Contains(out, a.Value) {
			out = append(out, a.Value)
		}
	}
	if len(out) == 0 && channel != 0 {
		return nil, model.Errorf(model.KindInvalid, "distinct_id %q has no data for the channel %s", id, wordOf(channel))
	}
	return out, nil
}

// unsuppress takes entries off the list.
func (a *API) unsuppress(r *http.Request) (int, any, error) {
	c, err := a.begin(r, "", rest.MaxBody)
	if err != nil {
		return 0, nil, err
	}
	q := r.URL.Query()
	channel := c.channel(q.Get("channel"))
	entry, id, destination := q.Get("_id"), q.Get("distinct_id"), q.Get("destination")
	c.check.That(entry != "" || id != "" || destination != "", "is required, or distinct_id or destination", "_id")
	if err := c.check.Err(); err != nil {
		return 0, nil, err
	}
	entries, err := c.entries(channel, entry, id, destination)
	if err != nil {
		return 0, nil, err
	}
	gone := 0
	for _, entry := range entries {
		switch _, err := a.Suppressions.Unsuppress(c.ctx(), c.env, model.Once{}, entry); model.KindOf(err) {
		case "":
			gone++
		case model.KindNotFound:
		default:
			return 0, nil, err
		}
	}
	if gone == 0 {
		return 0, nil, model.Errorf(model.KindInvalid, "Unable to delete non existing data!")
	}
	return http.StatusOK, ok(fmt.Sprintf("%d record(s) has been deleted!", gone)), nil
}

// entries finds the entries that are meant.
func (c *call) entries(channel model.Channel, entry, id, destination string) ([]model.SuppressionID, error) {
	if entry != "" {
		return []model.SuppressionID{model.SuppressionID(entry)}, nil
	}
	destinations := forms(destination)
	if id != "" {
		var err error
		if destinations, err = c.destinations(channel, id); err != nil {
			return nil, err
		}
	}
	var out []model.SuppressionID
	for _, d := range destinations {
		err := c.eachSuppression(model.SuppressionFilter{Channel: channel, Address: d}, func(m model.Suppression) bool {
			out = append(out, m.ID)
			return true
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// forms are those in which a destination may be kept: as it is, and as a phone
// number or an e-mail address.
func forms(destination string) []string {
	out := []string{destination}
	email, _ := model.CheckEmail(destination)
	for _, form := range []string{email, model.PhoneOf(destination)} {
		if form != "" && !slices.Contains(out, form) {
			out = append(out, form)
		}
	}
	return out
}

// renamed puts the paths of problems into Fyno's words.
func renamed(err error) error {
	e, is := errors.AsType[*model.Error](err)
	if !is {
		return err
	}
	for i, p := range e.Problems {
		switch p.Field() {
		case "address":
			e.Problems[i].Path = []string{"destination"}
		case "detail":
			e.Problems[i].Path = []string{"description"}
		case "expiresAt":
			e.Problems[i].Path = []string{"expiry_ts"}
		}
	}
	return err
}
