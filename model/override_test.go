package model

import (
	"strings"
	"testing"
)

func TestOverridesHaveALimitTogether(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]bool{2: true, 3: false} {
		var c Check
		list := make([]Override, n)
		for i := range list {
			list[i] = Override{Channel: ChannelSMS, Body: strings.Repeat("x", 30_000)}
		}
		checkOverrides(list, &c)
		if c.OK() != want {
			t.Errorf("%d overrides of 30,000 bytes: %v", n, c.Err())
		}
	}
}
