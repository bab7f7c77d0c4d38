package store

import (
	"database/sql/driver"
	"sync"

	sqlite "modernc.org/sqlite"

	"carillon/model"
)

// registerDate gives SQLite the function carillon_date, which PostgreSQL has
// from a migration: a date of an attribute as microseconds, null where it is
// none.
var registerDate = sync.OnceValue(func() error {
	return sqlite.RegisterDeterministicScalarFunction("carillon_date", 1, func(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
		s, ok := args[0].(string)
		if !ok {
			return nil, nil
		}
		t, ok := model.ParseDate(s)
		if !ok {
			return nil, nil
		}
		return micros(t), nil
	})
})
