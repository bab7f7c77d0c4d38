package view

import (
	"time"

	"carillon/model"
)

// Import is a file of users that was uploaded.
type Import struct{ model.Import }

// ID is the opaque id.
func (i *Import) ID() string { return string(i.Import.ID) }

// IgnoredColumns are the headers of columns that are passed over.
func (i *Import) IgnoredColumns() []string { return i.Ignored() }

// Errors are what was wrong with rows.
func (i *Import) Errors() []*model.ImportError {
	out := make([]*model.ImportError, len(i.Import.Errors))
	for n := range i.Import.Errors {
		out[n] = &i.Import.Errors[n]
	}
	return out
}

// FinishedAt is when the last row had its turn; nil: not yet.
func (i *Import) FinishedAt() *time.Time {
	if i.Import.FinishedAt.IsZero() {
		return nil
	}
	return &i.Import.FinishedAt
}
