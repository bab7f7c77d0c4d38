package user

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"carillon/model"
)

const (
	importRows  = 1000      // of a part, at most
	importBytes = 512 << 10 // of a part, about
	maxColumns  = 1100
	maxHeader   = 1 + len(attributeColumn) + model.MaxIdentifier // bytes of a column's name
	maxTold     = 20                                             // columns that are said to be wrong at once
)

// importFile reads a CSV file of users. It holds a record at most.
type importFile struct {
	csv    *csv.Reader
	bounds *recordBounds
	record []string
	line   int64
}

// importRecord is a row of a file, as it is staged.
type importRecord struct {
	Line   int64    `json:"l"`
	Cells  []string `json:"c"`
	Broken bool     `json:"b,omitempty"` // a cell was no text that can be kept
}

// whole reports whether cells can be kept as they are: they are UTF-8, without
// NUL.
func whole(cells []string) bool {
	for _, c := range cells {
		if !utf8.ValidString(c) || strings.ContainsRune(c, 0) {
			return false
		}
	}
	return true
}

// recordBounds ends the reading of a file in which a record is too long, such as
// one whose quote was never closed, or which is too long itself.
type recordBounds struct {
	from   io.Reader
	record int // bytes that the current record may yet take, and what is read ahead
	all    int64
}

var (
	errRecordTooLong = errors.New("record too long")
	errFileTooLong   = errors.New("file too long")
)

func (b *recordBounds) Read(p []byte) (int, error) {
	switch {
	case b.record <= 0:
		return 0, errRecordTooLong
	case b.all <= 0:
		return 0, errFileTooLong
	}
	n, err := b.from.Read(p[:min(len(p), b.record, int(min(b.all, 1<<30)))])
	b.record -= n
	b.all -= int64(n)
	return n, err
}

const readAhead = 64 << 10

// openImport begins to read a file: the mark of UTF-8 in front, if there is one,
// and whether commas or semicolons separate.
func openImport(r io.Reader) (*importFile, error) {
	bounds := &recordBounds{from: r, record: model.MaxImportRecord + 2*readAhead, all: model.MaxImportBytes}
	in := bufio.NewReaderSize(bounds, readAhead)
	head, err := in.Peek(readAhead / 2)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if bytes.HasPrefix(head, []byte("\xff\xfe")) || bytes.HasPrefix(head, []byte("\xfe\xff")) {
		return nil, model.Errorf(model.KindInvalid, "the file is in UTF-16; save it as CSV in UTF-8")
	}
	if bytes.HasPrefix(head, []byte("\ufeff")) {
		_, _ = in.Discard(3) // of what was peeked at
		head = head[3:]
	}
	first, _, _ := bytes.Cut(head, []byte("\n"))
	f := &importFile{csv: csv.NewReader(in), bounds: bounds}
	f.csv.ReuseRecord = true
	f.csv.FieldsPerRecord = -1
	if !bytes.ContainsRune(first, ',') && bytes.ContainsRune(first, ';') {
		f.csv.Comma = ';'
	}
	return f, nil
}

// next reads a record; io.EOF after the last. An error says what is wrong with
// the file, and where.
func (f *importFile) next() error {
	f.bounds.record = model.MaxImportRecord + 2*readAhead
	record, err := f.csv.Read()
	if err != nil {
		return fileError(err)
	}
	line, _ := f.csv.FieldPos(0)
	f.record, f.line = record, int64(line)
	return nil
}

func fileError(err error) error {
	wrong, parse := errors.AsType[*csv.ParseError](err)
	switch {
	case errors.Is(err, io.EOF) && !parse:
		return io.EOF
	case errors.Is(err, errRecordTooLong):
		return model.Errorf(model.KindInvalid, "a row must have at most %d bytes; perhaps a quote is not closed", model.MaxImportRecord)
	case errors.Is(err, errFileTooLong):
		return model.Errorf(model.KindInvalid, "the file must have at most %d bytes; split it", model.MaxImportBytes)
	case parse:
		return model.Errorf(model.KindInvalid, "the row that begins on line %d: %s; a cell with a quote in it must be quoted, and each quote in it doubled", wrong.StartLine, wrong.Err)
	}
	return err
}

// headers are the names of columns, without case, blanks, - and _, that are not
// attributes.
var headers = map[string]model.ImportColumn{
	"identifier": {Field: model.ImportIdentifier}, "id": {Field: model.ImportIdentifier}, "uid": {Field: model.ImportIdentifier},
	"userid": {Field: model.ImportIdentifier}, "distinctid": {Field: model.ImportIdentifier},
	"enabled": {Field: model.ImportEnabled}, "userkind": {Field: model.ImportKind},
	createdHeader: {Field: model.ImportSignedUp}, "signedupat": {Field: model.ImportSignedUp}, "topics": {Field: model.ImportTopics},
	"phone": {Field: model.ImportAttribute, Name: model.AttrPhoneNumber}, "number": {Field: model.ImportAttribute, Name: model.AttrPhoneNumber},
	"emailaddress": {Field: model.ImportAttribute, Name: model.AttrEmail},
}

// createdHeader is what most systems call the time of the sign-up.
const createdHeader = "createdat"

func bareHeader(s string) string {
	return strings.NewReplacer(" ", "", "-", "", "_", "").Replace(strings.ToLower(s))
}

// columnOf finds what a header means; properties are those of the environment.
func columnOf(header string, properties map[string]model.PropertyType) (model.ImportColumn, bool) {
	header = strings.TrimSpace(original(header))
	if name, ok := strings.CutPrefix(header, attributeColumn); ok {
		return model.ImportColumn{Header: header, Field: model.ImportAttribute, Name: name, Type: properties[name]}, model.CheckAttributeName(name) == ""
	}
	bare := bareHeader(header)
	for _, name := range model.WellKnownAttributes() {
		if bare == strings.ToLower(name) {
			return model.ImportColumn{Header: header, Field: model.ImportAttribute, Name: name, Type: model.PropertyText}, true
		}
	}
	if t, known := properties[header]; known {
		return model.ImportColumn{Header: header, Field: model.ImportAttribute, Name: header, Type: t}, true
	}
	c, known := headers[bare]
	c.Header = header
	if c.Name != "" {
		c.Type = model.PropertyText
	}
	return c, known
}

// readHeader reads the first row: which column is what. Problems are at
// ["header", number of the column].
func readHeader(record []string, properties map[string]model.PropertyType) ([]model.ImportColumn, error) {
	var c model.Check
	if len(record) > maxColumns {
		c.That(false, fmt.Sprintf("must have at most %d columns, has %d", maxColumns, len(record)), "header")
		return nil, c.Err()
	}
	columns := make([]model.ImportColumn, len(record))
	seen := map[string]bool{}
	wrong := 0
	signed := slices.ContainsFunc(record, func(h string) bool { return bareHeader(h) == "signedupat" })
	for i, header := range record {
		at := func(message string) {
			if wrong++; wrong <= maxTold {
				c.At("header", strconv.Itoa(i+1)).Add(model.ProblemInvalid, message)
			}
		}
		if len(header) > maxHeader {
			at(fmt.Sprintf("must have at most %d bytes, has %d", maxHeader, len(header)))
			continue
		}
		column, ok := columnOf(header, properties)
		if signed && column.Field == model.ImportSignedUp && bareHeader(column.Header) == createdHeader {
			column.Field = model.ImportIgnored // as in exports, which have both
		}
		switch {
		case !utf8.ValidString(header):
			at("must be in UTF-8")
		case !ok:
			at(fmt.Sprintf("%.40q is no column of users: it must be identifier, one of %s, enabled, userKind, signedUpAt, topics, the name of a property, or attributes. and the name of an attribute",
				header, strings.Join(model.WellKnownAttributes(), ", ")))
		case column.Field != model.ImportIgnored && seen[string(column.Field)+column.Name]:
			at(fmt.Sprintf("%.40q says what another column says too", header))
		}
		seen[string(column.Field)+column.Name] = true
		columns[i] = column
	}
	c.That(seen[string(model.ImportIdentifier)], "must have a column identifier", "header")
	return columns, c.Err()
}

// original takes back what [plainCell] put in front.
func original(cell string) string {
	if rest, ok := strings.CutPrefix(cell, "'"); ok && isFormula(rest) {
		return rest
	}
	return cell
}

// importer makes users of the rows of one import.
type importer struct {
	columns []model.ImportColumn
	work    []model.ImportRow
	changes []profileChange
}

// row reads a row. What is wrong is noted with it.
func (m *importer) row(r importRecord) {
	row := model.ImportRow{Line: r.Line}
	row.Problem = m.read(r, &row)
	var change profileChange
	if row.Problem == nil {
		var problems []model.Problem
		if change, problems = newChange(row.Input); len(problems) > 0 {
			e := m.explain(r.Line, problems)
			row.Problem = &e
		}
	}
	m.work, m.changes = append(m.work, row), append(m.changes, change)
}

func (m *importer) read(r importRecord, row *model.ImportRow) *model.ImportError {
	if r.Broken {
		return &model.ImportError{Line: r.Line, Message: "must be text in UTF-8, without the character 0"}
	}
	if len(r.Cells) != len(m.columns) {
		return &model.ImportError{Line: r.Line, Message: fmt.Sprintf("must have %d cells, as the first row, has %d", len(m.columns), len(r.Cells))}
	}
	attributes := map[string]json.RawMessage{}
	for i, cell := range r.Cells {
		column := m.columns[i]
		if wrong := readCell(column, original(cell), attributes, row); wrong != "" {
			return &model.ImportError{Line: r.Line, Column: column.Header, Message: wrong}
		}
	}
	raw, err := model.EncodeJSON(attributes)
	if err != nil {
		return &model.ImportError{Line: r.Line, Message: "must be text in UTF-8"}
	}
	row.Input.Attributes = raw
	return nil
}

// readCell reads a cell, and says what is wrong with it. An empty one says
// nothing.
func readCell(column model.ImportColumn, cell string, attributes map[string]json.RawMessage, row *model.ImportRow) (wrong string) {
	switch {
	case column.Field == model.ImportIdentifier:
		row.Input.Identifier = cell
	case cell == "":
	case column.Field == model.ImportEnabled:
		is, err := strconv.ParseBool(strings.ToLower(cell))
		if err != nil {
			return "must be true or false"
		}
		row.Enabled = &is
	case column.Field == model.ImportKind:
		kind := model.UserKind(strings.ToUpper(cell))
		if kind != model.UserPerson && kind != model.UserAccount {
			return "must be PERSON or ACCOUNT"
		}
		row.Kind = &kind
	case column.Field == model.ImportSignedUp:
		at, ok := readTime(cell)
		if !ok {
			return "must be a time in the years 1900 to 9999, such as 2026-05-01T12:00:00Z, or a day, such as 2026-05-01"
		}
		row.SignedUpAt = &at
	case column.Field == model.ImportTopics:
		row.Topics = readTopics(cell)
	case column.Field == model.ImportAttribute:
		attributes[column.Name], wrong = cellValue(column, cell)
	}
	return wrong
}

// readTime reads a time, to the second. One without a zone is in UTC.
func readTime(cell string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", time.DateTime, time.DateOnly} {
		if at, err := time.Parse(layout, strings.TrimSpace(cell)); err == nil {
			at = at.UTC().Truncate(time.Second)
			return at, at.Year() >= 1900 && at.Year() <= 9999
		}
	}
	return time.Time{}, false
}

// readTopics reads identifiers of topics with semicolons between.
func readTopics(cell string) []string {
	var out []string
	seen := map[string]bool{"": true}
	for name := range strings.SplitSeq(cell, ";") {
		if name = strings.TrimSpace(name); !seen[name] {
			seen[name] = true
			out = append(out, name)
		}
	}
	return out
}

// cellValue is a cell as an attribute: text where the attribute is text, JSON
// where it is something else, and of an attribute that is not known yet what the
// cell looks like.
func cellValue(column model.ImportColumn, cell string) (json.RawMessage, string) {
	text, err := model.EncodeJSON(cell)
	if err != nil {
		return nil, "must be text in UTF-8"
	}
	if column.Name == model.AttrPhoneNumber {
		if n := model.PhoneOf(cell); n != "" {
			text = json.RawMessage(`"` + n + `"`)
		}
	}
	if column.Type == model.PropertyText || column.Type == model.PropertyDate {
		return text, ""
	}
	raw := json.RawMessage(strings.TrimSpace(cell))
	if column.Type == model.PropertyBoolean {
		raw = json.RawMessage(strings.ToLower(string(raw)))
	}
	fits := json.Valid(raw) && len(raw) > 0 && raw[0] != '"' && string(raw) != "null"
	switch {
	case fits && (column.Type == "" || model.PropertyTypeOf(raw) == column.Type):
		return raw, ""
	case column.Type == "":
		return text, ""
	}
	return nil, map[model.PropertyType]string{
		model.PropertyNumber: "must be a number, such as 12.5", model.PropertyBoolean: "must be true or false",
		model.PropertyList: "must be a list as JSON, such as [1,2]", model.PropertyObject: `must be an object as JSON, such as {"a":1}`,
	}[column.Type]
}

// explain makes an error of the first problem of a row.
func (m *importer) explain(line int64, problems []model.Problem) model.ImportError {
	p := problems[0]
	e := model.ImportError{Line: line, Message: p.Message}
	name := ""
	if len(p.Path) > 0 {
		name = p.Path[len(p.Path)-1]
	}
	i := slices.IndexFunc(m.columns, func(c model.ImportColumn) bool {
		return c.Field == model.ImportAttribute && c.Name == name || c.Field == model.ImportIdentifier && name == "identifier"
	})
	if i >= 0 {
		e.Column = m.columns[i].Header
	}
	return e
}
