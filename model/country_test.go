package model

import (
	"testing"
	"time"
)

func TestCountryOfPhone(t *testing.T) {
	t.Parallel()
	for number, want := range map[string]string{
		"+2348012345678": "NG", "+12125550100": "US", "+14165550100": "CA", "+18765550100": "JM", "+77011234567": "KZ", "+79161234567": "RU",
		"+447700900123": "GB", "+35312345678": "IE", "+9991234567": "", "447700900123": "", "+": "", "": "",
	} {
		if got := CountryOfPhone(number); got != want {
			t.Errorf("CountryOfPhone(%q) = %q, want %q", number, got, want)
		}
	}
}

func TestUTCOffset(t *testing.T) {
	t.Parallel()
	summer, winter := time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		zone string
		at   time.Time
		want string
	}{{"Asia/Kolkata", winter, "+05:30"}, {"Europe/Paris", winter, "+01:00"}, {"Europe/Paris", summer, "+02:00"}, {"America/New_York", winter, "-05:00"}, {"Local", winter, ""}, {"", winter, ""}, {"Nowhere", winter, ""}} {
		if got := UTCOffset(tt.zone, tt.at); got != tt.want {
			t.Errorf("UTCOffset(%q, %s) = %q, want %q", tt.zone, tt.at, got, tt.want)
		}
	}
}

func TestPhoneE164(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{"+234 801 234-5678": "+2348012345678", "00447700900123": "+447700900123", "+1 (212) 555.0100": "+12125550100", "2348012345678": "", "+0123456789": "", "+12": "", "x": ""} {
		got, ok := PhoneE164(s)
		if ok != (want != "") || ok && got != want {
			t.Errorf("PhoneE164(%q) = %q, %t; want %q", s, got, ok, want)
		}
	}
}

func TestParseDate(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"2020-08-11": "2020-08-11T00:00:00Z", "2020-05-30T09:30:10Z": "2020-05-30T09:30:10Z", "2021-01-12T05:24:39.062+00:00": "2021-01-12T05:24:39.062Z",
		"2020-05-30T09:30:10+0100": "2020-05-30T08:30:10Z", "2020-05-30T09:30:10.123456": "2020-05-30T09:30:10.123456Z", "2020-13-01": "", "yesterday": "", "": "", "1596240000": "",
	} {
		got, ok := ParseDate(s)
		if ok != (want != "") || ok && got.Format(time.RFC3339Nano) != want {
			t.Errorf("ParseDate(%q) = %v, %t; want %q", s, got, ok, want)
		}
	}
}
