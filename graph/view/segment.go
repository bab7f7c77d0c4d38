package view

import (
	"encoding/json"
	"time"

	"carillon/model"
)

// Segment is a saved rule and who matches it.
type Segment struct{ model.Segment }

// NewSegment shows a segment.
func NewSegment(m model.Segment) *Segment { return &Segment{m} }

// Segments shows several.
func Segments(ms []model.Segment) []*Segment {
	out := make([]*Segment, len(ms))
	for i, m := range ms {
		out[i] = NewSegment(m)
	}
	return out
}

// IsNode marks a Node.
func (*Segment) IsNode() {}

// ID is the opaque id.
func (m *Segment) ID() string { return SegmentID(m.Segment.ID) }

// Number is the id as text.
func (m *Segment) Number() string { return number(int64(m.Segment.ID)) }

// Description is what it is for.
func (m *Segment) Description() *string { return text(m.Segment.Description) }

// Rule is the rule in the form of its input.
func (m *Segment) Rule() (json.RawMessage, error) { return json.Marshal(m.Segment.Rule) }

// Size is how many were in it.
func (m *Segment) Size() int32 { return int32(min(m.Segment.Size, 1<<31-1)) }

// RefreshedAt is when its members were evaluated last.
func (m *Segment) RefreshedAt() *time.Time {
	if m.Segment.RefreshedAt.IsZero() {
		return nil
	}
	return &m.Segment.RefreshedAt
}

// UserSegment is a segment as one user has to do with it.
type UserSegment struct {
	Segment *Segment
	model.SegmentMembership
}
