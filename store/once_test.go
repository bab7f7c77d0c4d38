package store_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"carillon/model"
	"carillon/store"
	"carillon/store/storetest"
)

func TestForgetAnswers(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	storetest.EachURL(t, func(t *testing.T, url string) {
		var passed atomic.Int64
		s := storetest.Open(t, store.Config{URL: url, Now: func() time.Time { return start.Add(time.Duration(passed.Load())) }})
		ctx := t.Context()
		env := newEnvironment(t, s)
		nothing := func() error { return nil }
		key := func(i int) model.Once { return model.Once{Operation: "test", Key: fmt.Sprint(i)} }
		for i := range 5 {
			if _, err := store.Once(ctx, s, env, key(i), fmt.Sprint("old ", i), nothing); err != nil {
				t.Fatal(err)
			}
		}
		passed.Store(int64(time.Hour))
		if _, err := store.Once(ctx, s, env, key(5), "young", nothing); err != nil {
			t.Fatal(err)
		}

		passed.Store(int64(model.OnceKept))
		if n, err := s.ForgetAnswers(ctx, 10); err != nil || n != 0 {
			t.Errorf("after exactly seven days %d were forgotten, %v; want none", n, err)
		}
		passed.Store(int64(model.OnceKept + time.Second))
		for _, want := range []int{3, 2, 0} {
			if n, err := s.ForgetAnswers(ctx, 3); err != nil || n != want {
				t.Errorf("%d were forgotten, %v; want %d", n, err, want)
			}
		}
		if out, err := store.Once(ctx, s, env, key(5), "again", nothing); err != nil || !out.Replayed {
			t.Errorf("a younger key: %+v, %v; want it kept", out, err)
		}
		if out, err := store.Once(ctx, s, env, key(0), "anew", nothing); err != nil || out.Replayed {
			t.Errorf("a forgotten key: %+v, %v; want it free", out, err)
		}
	})
}
