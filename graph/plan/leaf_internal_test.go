package plan

import (
	"bytes"
	"testing"
	"time"

	"carillon/graph/view"
)

// FuzzLeaves holds text and times to the form of the generated executor.
func FuzzLeaves(f *testing.F) {
	f.Add("", int64(0))
	f.Add("plain", int64(1_700_000_000_000_000))
	f.Add("\"\\\n\r\t\x00\x1f\x7f/<>&\u2028é\U0001F514", int64(1_700_000_000_120_000))
	f.Add("\xff broken", int64(253_402_300_799_999_999))
	f.Add("é", int64(951_782_400_000_001))
	f.Fuzz(func(t *testing.T, text string, micros int64) {
		var want bytes.Buffer
		view.MarshalString(text).MarshalGQL(&want)
		if got := appendText(nil, text); !bytes.Equal(got, want.Bytes()) {
			t.Errorf("%q is written as %s, want %s", text, got, &want)
		}
		if micros < 0 || micros > 253_402_300_799_999_999 {
			return // outside the years 1970 to 9999
		}
		at := time.UnixMicro(micros)
		want.Reset()
		view.MarshalDateTime(at).MarshalGQL(&want)
		if got := appendTime(nil, at); !bytes.Equal(got, want.Bytes()) {
			t.Errorf("%v is written as %s, want %s", at, got, &want)
		}
	})
}

func TestZeroTimeIsNull(t *testing.T) {
	t.Parallel()
	if got := string(appendTime(nil, time.Time{})); got != "null" {
		t.Errorf("got %s", got)
	}
}
