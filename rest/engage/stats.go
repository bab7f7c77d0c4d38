package engage

import "carillon/model"

// wholeUser is a user as one who is asked for alone is shown: with what has to be
// counted.
type wholeUser struct {
	userObject
	Stats           statsObject `json:"stats"`
	LastInteraction *string     `json:"last_interaction"`
}

// statsObject counts the messages of a user. A notification is opened or pressed
// once, so what is unique is all there is.
type statsObject struct {
	Delivered    int64 `json:"delivered"`
	Failed       int64 `json:"failed"`
	Opened       int64 `json:"opened"`
	Clicked      int64 `json:"clicked"`
	UniqueOpens  int64 `json:"unique_opens"`
	UniqueClicks int64 `json:"unique_clicks"`
}

func (c *call) whole(u model.User) (wholeUser, error) {
	objects, err := c.shown(c.ctx(), c.env, u)
	if err != nil {
		return wholeUser{}, err
	}
	s, err := c.Users.Stats(c.ctx(), c.env, u.ID)
	out := wholeUser{userObject: objects[0], Stats: statsObject{s.Delivered, s.Failed, s.Opened, s.Pressed, s.Opened, s.Pressed}}
	if !s.LastActive.IsZero() {
		out.LastInteraction = text(moment(s.LastActive))
	}
	return out, err
}
