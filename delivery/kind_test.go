package delivery

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"carillon/model"
)

var sample = &Kind{
	Name: "sample", Channels: []model.Channel{model.ChannelEmail},
	Fields: []Field{
		{Name: "host", Help: "the server's name", Type: FieldText, Required: true},
		{Name: "port", Help: "its port", Type: FieldNumber, Min: 1, Max: 65535},
		{Name: "tls", Help: "how it is encrypted", Type: FieldChoice, Options: []string{"starttls", "implicit"}},
		{Name: "quiet", Help: "whether it is", Type: FieldBoolean},
		{Name: "password", Help: "the password", Type: FieldText, Secret: true, Required: true},
		{Name: "key", Help: "a key in PEM", Type: FieldLong, Secret: true},
	},
	New: func(Account, Outside) (Sender, error) { return nil, nil },
}

func TestCheckNamesEachWrongSetting(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ config, secrets, want string }{
		{`{"host":"h","port":25,"tls":"implicit","quiet":true}`, `{"password":"p","key":"a\nb"}`, ""},
		{`{"host":"h"}`, `{"password":"p"}`, ""},
		{``, ``, "config.host is required"},
		{``, ``, "secrets.password is required"},
		{`[]`, `{"password":"p"}`, "config must be an object"},
		{`{"host":""}`, `{"password":"p"}`, "config.host must not be empty"},
		{`{"host":"a\r\nb"}`, `{"password":"p"}`, "config.host must be one line"},
		{`{"host":"a\u0000"}`, `{"password":"p"}`, "config.host must not contain control characters"},
		{`{"host":1}`, `{"password":"p"}`, "config.host must be text"},
		{`{"host":"h","port":0}`, `{"password":"p"}`, "config.port must be between 1 and 65535"},
		{`{"host":"h","port":"x"}`, `{"password":"p"}`, "config.port must be a whole number"},
		{`{"host":"h","tls":"none"}`, `{"password":"p"}`, "config.tls must be one of starttls, implicit"},
		{`{"host":"h","quiet":"yes"}`, `{"password":"p"}`, "config.quiet must be true or false"},
		{`{"host":"h","password":"p"}`, `{"password":"p"}`, "config.password is a secret"},
		{`{"host":"h"}`, `{"password":"p","host":"h"}`, "secrets.host is no secret"},
		{`{"host":"h","color":1}`, `{"password":"p"}`, "config.color is no setting"},
	} {
		err := sample.Check([]byte(tt.config), []byte(tt.secrets))
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("Check(%s, %s) = %v, want %q", tt.config, tt.secrets, err, tt.want)
		}
	}
}

func TestKindsAreKnownByName(t *testing.T) {
	t.Parallel()
	ks := NewKinds(sample)
	if ks.Find("sample") != sample || ks.Find("other") != nil || len(ks.All()) != 1 {
		t.Error("the kinds are not found by their names")
	}
	for name, bad := range map[string][]*Kind{
		"doubled": {sample, sample}, "no name": {{New: sample.New, Channels: sample.Channels}},
		"no channel": {{Name: "x", New: sample.New}}, "no sender": {{Name: "x", Channels: sample.Channels}},
		"the inbox": {{Name: "x", New: sample.New, Channels: []model.Channel{model.ChannelInApp}}},
		"no help":   {{Name: "x", New: sample.New, Channels: sample.Channels, Fields: []Field{{Name: "a", Type: FieldText}}}},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: NewKinds did not panic", name)
				}
			}()
			NewKinds(bad...)
		}()
	}
}

func TestStatusesHaveClasses(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		status int
		after  string
		want   model.ErrorClass
		wait   time.Duration
	}{
		{200, "", 0, 0},
		{202, "", 0, 0},
		{204, "", 0, 0},
		{301, "", model.ClassPermanent, 0},
		{400, "", model.ClassPermanent, 0},
		{401, "", model.ClassAuth, 0},
		{403, "", model.ClassAuth, 0},
		{404, "", model.ClassPermanent, 0},
		{408, "", model.ClassTransient, 0},
		{410, "", model.ClassAddressDead, 0},
		{429, "", model.ClassRateLimited, 0},
		{429, "120", model.ClassRateLimited, 2 * time.Minute},
		{429, "Sun, 01 Mar 2026 12:00:30 GMT", model.ClassRateLimited, 30 * time.Second},
		{429, "Sun, 01 Mar 2026 11:00:00 GMT", model.ClassRateLimited, 0},
		{429, "-5", model.ClassRateLimited, 0},
		{429, "99999999999999999", model.ClassRateLimited, 30 * 24 * time.Hour},
		{429, "soon", model.ClassRateLimited, 0},
		{500, "", model.ClassTransient, 0},
		{503, "", model.ClassTransient, 0},
		{503, "9", model.ClassRateLimited, 9 * time.Second},
	} {
		e := StatusError(tt.status, http.Header{"Retry-After": {tt.after}}, []byte("body"), now)
		if tt.want == 0 {
			if e != nil {
				t.Errorf("%d: %v, want no error", tt.status, e)
			}
			continue
		}
		if e == nil || e.Class != tt.want || e.RetryAfter != tt.wait || e.Status != tt.status || e.Answer != "body" {
			t.Errorf("%d with Retry-After %q: %+v, want %s after %s", tt.status, tt.after, e, tt.want, tt.wait)
		}
	}
}

func TestClassifyAsksWhetherAnythingWasWritten(t *testing.T) {
	t.Parallel()
	dial := &net.OpError{Op: "dial", Err: errors.New("refused")}
	for _, tt := range []struct {
		err  error
		want model.ErrorClass
	}{
		{fmt.Errorf("posting: %w", dial), model.ClassTransient},
		{fmt.Errorf("posting: %w", &net.OpError{Op: "dial", Err: ErrBlocked}), model.ClassConfig},
		{&net.OpError{Op: "read", Err: errors.New("reset")}, model.ClassUnknown},
		{context.DeadlineExceeded, model.ClassUnknown},
		{errors.New("odd"), model.ClassUnknown},
		{&Error{Message: "no class"}, model.ClassUnknown},
		{fmt.Errorf("sending: %w", Errorf(model.ClassPermanent, "no")), model.ClassPermanent},
	} {
		if e := Classify(tt.err); e.Class != tt.want || e.Message == "" {
			t.Errorf("Classify(%v) = %s %q, want %s", tt.err, e.Class, e.Message, tt.want)
		}
	}
	if Classify(nil) != nil {
		t.Error("Classify(nil) is an error")
	}
}
