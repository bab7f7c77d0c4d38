package user

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"

	"carillon/model"
)

// FuzzImportFile promises that no file makes reading panic, and that what is
// wrong with a file or a row is said.
func FuzzImportFile(f *testing.F) {
	for _, seed := range []string{"id,First Name\r\nada,\"a\"\"b\"\r\n", "id\n\"", "\ufeffid;email\nada;a@b.c\n", "\xff\xfe", "id,attributes.x\n,'=1\n", "id\r\n'\r\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		rows, err := readImport(bytes.NewReader(file))
		if e, ok := errors.AsType[*model.Error](err); err != nil && (!ok || e.Kind != model.KindInvalid) {
			t.Errorf("reading: %v", err)
		}
		for _, r := range rows {
			if r.Problem == nil && model.CheckIdentifier(r.Input.Identifier) != "" || r.Problem != nil && r.Problem.Message == "" {
				t.Errorf("%+v", r)
			}
		}
	})
}

// readImport reads all rows of a file.
func readImport(r io.Reader) ([]model.ImportRow, error) {
	in, err := openImport(r)
	if err != nil {
		return nil, fileError(err)
	}
	if err := in.next(); err != nil {
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return nil, err
	}
	columns, err := readHeader(in.record, map[string]model.PropertyType{"x": model.PropertyNumber})
	if err != nil {
		return nil, err
	}
	m := importer{columns: columns}
	for {
		err := in.next()
		if errors.Is(err, io.EOF) {
			return m.work, nil
		}
		if err != nil {
			return m.work, err
		}
		m.row(importRecord{Line: in.line, Cells: slices.Clone(in.record), Broken: !whole(in.record)})
	}
}

func TestCellsComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "a", "'", "'a", "=1", "'=1", "''=1", "'''", "-", "+4930", "@x", "|", "\tx", "a=b", "'-'"} {
		if got := original(plainCell(s)); got != s {
			t.Errorf("%q came back as %q", s, got)
		}
	}
}
