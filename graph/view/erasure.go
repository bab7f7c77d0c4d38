package view

import "carillon/model"

// Erasure is the receipt of an erasure.
type Erasure struct{ model.Erasure }

// ID is the opaque id.
func (e *Erasure) ID() string { return ErasureID(e.Erasure.ID) }

// Counts are how many rows were found of each kind.
func (e *Erasure) Counts() []*model.ErasedRows {
	out := make([]*model.ErasedRows, len(e.Erasure.Counts))
	for i := range e.Erasure.Counts {
		out[i] = &e.Erasure.Counts[i]
	}
	return out
}
