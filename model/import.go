package model

import (
	"encoding/json"
	"time"
)

// Limits of imports.
const (
	MaxImportBytes  = 1 << 30   // of a file
	MaxImportRows   = 5_000_000 // of a file
	MaxImportRecord = 256 << 10 // bytes of a row
	MaxImportErrors = 100       // that are kept of an import
	MaxOpenImports  = 10        // of an environment that are not done
)

// ImportID names an import. It is text and time-ordered, and shown as it is.
type ImportID string

// ImportStatus is how far an import is.
type ImportStatus string

// The statuses of an import.
const (
	ImportUploading ImportStatus = "UPLOADING" // the file is arriving; nothing was acknowledged
	ImportRunning   ImportStatus = "RUNNING"   // the file is safe, and users are being made of it
	ImportDone      ImportStatus = "DONE"
	ImportCanceled  ImportStatus = "CANCELED" // what had its turn stays, and the rest has none
)

// Import is a file of users that was uploaded, and what has become of it.
type Import struct {
	ID         ImportID
	EnvID      EnvID
	Status     ImportStatus
	DryRun     bool           // nothing is written; the counts are what would be
	Columns    []ImportColumn // in the order of the file
	Total      int64          // rows of the file
	Processed  int64          // rows that had their turn
	Created    int64
	Changed    int64
	Same       int64 // valid rows that said nothing new
	Invalid    int64
	Duplicates int64 // rows whose identifier an earlier row had; they are left out
	Errors     []ImportError
	CreatedAt  time.Time
	FinishedAt time.Time // zero: not yet
}

// Valid is how many rows were taken.
func (i Import) Valid() int64 { return i.Created + i.Changed + i.Same }

// ImportColumn is what a column of a file is.
type ImportColumn struct {
	Header string
	Field  ImportField
	Name   string       `json:",omitempty"` // of the attribute
	Type   PropertyType `json:",omitempty"` // of the attribute; empty: not known
}

// ImportField is what a column of a file says of a user.
type ImportField string

// The fields.
const (
	ImportIdentifier ImportField = "IDENTIFIER"
	ImportAttribute  ImportField = "ATTRIBUTE"
	ImportEnabled    ImportField = "ENABLED"
	ImportKind       ImportField = "KIND"
	ImportSignedUp   ImportField = "SIGNED_UP"
	ImportTopics     ImportField = "TOPICS"
	ImportIgnored    ImportField = "IGNORED" // another column says it better
)

// ImportError is what was wrong with a row. Column is its header; empty when it
// is about the whole row. It does not repeat what the cell holds.
type ImportError struct {
	Line    int64
	Column  string
	Message string
}

// ImportPart is a run of rows of a file. The rows are JSON for whoever wrote
// them.
type ImportPart struct {
	Import Import
	Part   int64
	Rows   json.RawMessage
}

// ImportRow is a row that is to be a user. With Problem it is none.
type ImportRow struct {
	Line       int64
	Input      IdentifyInput
	Enabled    *bool
	Kind       *UserKind
	SignedUpAt *time.Time // to the second
	Topics     []string   // identifiers, in the order of the cell
	Problem    *ImportError
}

// ImportWork is a part that is ready to be written. Merge is asked by the index
// of a row.
type ImportWork struct {
	ImportPart
	Work  []ImportRow
	Merge ProfileMerge
	// Explain makes an error of problems that only show with the user.
	Explain func(i int, problems []Problem) ImportError
}

// Header is what the file calls the column of a field; empty: it has none.
func (i Import) Header(f ImportField) string {
	for _, c := range i.Columns {
		if c.Field == f {
			return c.Header
		}
	}
	return ""
}

// Ignored are the headers of the columns that are passed over.
func (i Import) Ignored() []string {
	out := []string{}
	for _, c := range i.Columns {
		if c.Field == ImportIgnored {
			out = append(out, c.Header)
		}
	}
	return out
}
