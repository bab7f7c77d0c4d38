package view

import "testing"

func TestRefRoundTrip(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"usr_1", "ntf_9007199254740991", "snd_42", "cat_7", "top_8", "app_3", "crd_06f0abc", "dev_12_06f0abc"} {
		r, ok := ParseRef(s)
		if !ok || r.String() != s {
			t.Errorf("ParseRef(%q) = %+v, %t, written again as %q", s, r, ok, r)
		}
	}
}

// FuzzParseRef holds ParseRef to two promises: it never panics, and what it
// accepts is exactly what String would have written.
func FuzzParseRef(f *testing.F) {
	for _, s := range []string{
		"usr_1", "dev_1_a", "crd_a", "", "_", "usr_", "usr_0", "usr_-1", "usr_+1", "usr_01", "usr_9007199254740992",
		"usr_99999999999999999999", "xyz_1", "dev_1", "dev_1_", "dev__a", "crd_", "crd_a_b", "crd_é", "USR_1", "usr_1 ", "usr_1\x00", "usr_1_2",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if r, ok := ParseRef(s); ok && r.String() != s {
			t.Errorf("ParseRef(%q) = %+v, which is written %q", s, r, r)
		}
	})
}
