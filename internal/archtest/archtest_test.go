package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "carillon"

func TestImports(t *testing.T) {
	t.Parallel()
	for _, broken := range breaches(listPackages(t)) {
		t.Error(broken)
	}
}

func TestDependenciesHaveOwners(t *testing.T) {
	t.Parallel()
	for _, broken := range unowned(listRequires(t)) {
		t.Error(broken)
	}
}

// TestTable finds slips of the pen: a name in the table that no line explains.
func TestTable(t *testing.T) {
	t.Parallel()
	for name, list := range imports {
		for _, imported := range strings.Fields(list) {
			if imported != anything && !known(imported) {
				t.Errorf("the line of %s names %s, which has no line", name, imported)
			}
		}
	}
	for dep, list := range owners {
		for _, name := range strings.Fields(list) {
			if !known(name) {
				t.Errorf("the owner %s of %s has no line", name, dep)
			}
		}
	}
}

func TestBreaches(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		pkg  goPackage
		want string // part of the one breach, or empty
	}{
		{"StandardLibrary", goPackage{"carillon/model", []string{"time", "net/http"}}, ""},
		{"Allowed", goPackage{"carillon/live/redis", []string{"carillon/live", "carillon/internal/id"}}, ""},
		{"Upward", goPackage{"carillon/model", []string{"carillon/store"}}, "model imports store"},
		{"ServiceToStore", goPackage{"carillon/inbox", []string{"carillon/store"}}, "inbox imports store"},
		{"NoLine", goPackage{"carillon/util", nil}, "util has no line"},
		{"ByPattern", goPackage{"carillon/delivery/smtp", []string{"carillon/delivery"}}, ""},
		{"PatternForbids", goPackage{"carillon/delivery/smtp", []string{"carillon/store"}}, "delivery/smtp imports store"},
		{"RootTakesAll", goPackage{"carillon", []string{"carillon/store", "carillon/graph"}}, ""},
		{"RootTakesNoTestHelper", goPackage{"carillon", []string{"carillon/store/storetest"}}, "only for tests"},
		{"TestHelperTakesOther", goPackage{"carillon/faults", []string{"carillon/internal/lab"}}, ""},
		{"OwnDependency", goPackage{"carillon/store", []string{"github.com/uptrace/bun/dialect/pgdialect"}}, ""},
		{"DependencyOfOthers", goPackage{"carillon/inbox", []string{"github.com/uptrace/bun"}}, "belongs to store"},
		{"RootHasNoDriver", goPackage{"carillon", []string{"modernc.org/sqlite"}}, "belongs to store"},
		{"OwnerlessDependency", goPackage{"carillon/store", []string{"github.com/uptrace/bunny"}}, "has no owner"},
		{"TestHelperHasDriver", goPackage{"carillon/bench/load", []string{"modernc.org/sqlite", "example.com/x"}}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := breaches([]goPackage{tt.pkg})
			if tt.want == "" && len(got) > 0 || tt.want != "" && (len(got) != 1 || !strings.Contains(got[0], tt.want)) {
				t.Errorf("breaches(%v) = %q, want %q", tt.pkg, got, tt.want)
			}
		})
	}
}

func TestUnowned(t *testing.T) {
	t.Parallel()
	got := unowned([]string{"github.com/uptrace/bun/dialect/sqlitedialect", "github.com/pkg/errors"})
	if len(got) != 1 || !strings.Contains(got[0], "github.com/pkg/errors") {
		t.Errorf("got %q, want one breach, for github.com/pkg/errors", got)
	}
}

type goPackage struct {
	ImportPath string
	Imports    []string // outside of tests
}

// breaches says of each import that the tables do not allow why that is so.
func breaches(packages []goPackage) []string {
	var found []string
	for _, pkg := range packages {
		name := local(pkg.ImportPath)
		allowed, ok := line(name)
		if !ok {
			found = append(found, name+" has no line in the table of imports")
			continue
		}
		for _, imported := range pkg.Imports {
			if why := breach(name, allowed, imported); why != "" {
				found = append(found, name+" imports "+why)
			}
		}
	}
	return found
}

func breach(name, allowed, imported string) string {
	if ours := local(imported); ours != "" {
		switch {
		case matches(testPackages, ours) && !matches(testPackages, name):
			return ours + ", which is only for tests"
		case allowed != anything && !matches(allowed, ours):
			return ours + ", which its line does not allow"
		}
		return ""
	}
	host, _, _ := strings.Cut(imported, "/")
	if !strings.Contains(host, ".") || matches(testPackages, name) { // the standard library
		return ""
	}
	may, ok := owner(imported)
	switch {
	case !ok:
		return imported + ", which has no owner"
	case !matches(may, name):
		return fmt.Sprintf("%s, which belongs to %s", imported, may)
	}
	return ""
}

// unowned says which of the modules no line of owners covers.
func unowned(modules []string) []string {
	var found []string
	for _, m := range modules {
		if _, ok := owner(m); !ok {
			found = append(found, m+" is in go.mod and has no owner")
		}
	}
	return found
}

// local returns a package's name in this module, "." for the root, and nothing
// for a package of others.
func local(importPath string) string {
	if importPath == module {
		return "."
	}
	name, ok := strings.CutPrefix(importPath, module+"/")
	if !ok {
		return ""
	}
	return name
}

// line returns what the package may import: its own line, or that of the
// nearest name above it that ends in /...
func line(name string) (string, bool) {
	if s, ok := imports[name]; ok {
		return s, true
	}
	for above := name; above != "."; above = path.Dir(above) {
		if s, ok := imports[above+"/..."]; ok {
			return s, true
		}
	}
	return "", false
}

func known(nameOrPattern string) bool {
	_, ok := line(strings.TrimSuffix(nameOrPattern, "/..."))
	return ok
}

func owner(importPath string) (string, bool) {
	for dep, may := range owners {
		if importPath == dep || strings.HasPrefix(importPath, dep+"/") {
			return may, true
		}
	}
	return "", false
}

// matches reports whether one of the names in the list is the name, or ends in
// /... and stands for it.
func matches(list, name string) bool {
	return slices.ContainsFunc(strings.Fields(list), func(s string) bool {
		above, all := strings.CutSuffix(s, "/...")
		return s == name || all && (name == above || strings.HasPrefix(name, above+"/"))
	})
}

func listPackages(t *testing.T) []goPackage {
	t.Helper()
	var packages []goPackage
	dec := json.NewDecoder(bytes.NewReader(goTool(t, "list", "-e", "-json=ImportPath,Imports", module+"/...")))
	for {
		var pkg goPackage
		if err := dec.Decode(&pkg); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, pkg)
	}
}

// listRequires returns the modules that go.mod requires directly.
func listRequires(t *testing.T) []string {
	t.Helper()
	var mod struct {
		Require []struct {
			Path     string
			Indirect bool
		}
	}
	if err := json.Unmarshal(goTool(t, "mod", "edit", "-json"), &mod); err != nil {
		t.Fatal(err)
	}
	var modules []string
	for _, r := range mod.Require {
		if !r.Indirect {
			modules = append(modules, r.Path)
		}
	}
	return modules
}

func goTool(t *testing.T, args ...string) []byte {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", args...).Output()
	if err != nil {
		t.Fatalf("go %s: %v", strings.Join(args, " "), err)
	}
	return out
}
