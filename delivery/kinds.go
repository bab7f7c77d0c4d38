package delivery

import (
	"fmt"
	"slices"
	"strings"

	"carillon/model"
)

// Kinds are the kinds of provider that a server has.
type Kinds struct{ list []*Kind }

// NewKinds collects kinds. Two with one name, or one that breaks the rules of
// its form, are a mistake of the program and panic.
func NewKinds(kinds ...*Kind) Kinds {
	ks := Kinds{list: slices.Clone(kinds)}
	slices.SortFunc(ks.list, func(a, b *Kind) int { return strings.Compare(a.Name, b.Name) })
	for i, k := range ks.list {
		if m := k.malformed(); m != "" {
			panic(fmt.Sprintf("kind %q %s", k.Name, m))
		}
		if i > 0 && ks.list[i-1].Name == k.Name {
			panic(fmt.Sprintf("two kinds have the name %q", k.Name))
		}
	}
	return ks
}

// All lists the kinds by name.
func (ks Kinds) All() []*Kind { return slices.Clone(ks.list) }

// Find returns the kind of that name, or nil.
func (ks Kinds) Find(name string) *Kind {
	if i := slices.IndexFunc(ks.list, func(k *Kind) bool { return k.Name == name }); i >= 0 {
		return ks.list[i]
	}
	return nil
}

// malformed says what is wrong with the form of a kind, or "".
func (k *Kind) malformed() string {
	switch {
	case k.Name == "" || strings.Trim(k.Name, "abcdefghijklmnopqrstuvwxyz0123456789") != "":
		return "must have a name of lower-case letters and digits"
	case k.New == nil:
		return "makes no sender"
	case len(k.Channels) == 0 || slices.Contains(k.Channels, model.ChannelInApp):
		return "must have channels, and IN_APP is none of a provider"
	}
	for _, f := range k.Fields {
		if f.Name == "" || f.Help == "" || f.Type == "" {
			return fmt.Sprintf("must say name, type and help of the field %q", f.Name)
		}
	}
	return ""
}
