package model

import "time"

// PageKey is the place of a row in a list ordered by time, then id. Lists with
// another order fill only what they order by.
type PageKey struct {
	At   time.Time
	ID   int64
	Text string
}

// PageRequest asks for a page: the first Limit rows after After, or, with
// Backward, the last Limit rows before Before. Limit is 1 to MaxPage.
type PageRequest struct {
	Limit    int
	Backward bool
	After    *PageKey
	Before   *PageKey
}

// Page is one page of a list, always in list order. HasMore says whether rows
// lie beyond it in the direction of paging.
type Page[T any] struct {
	Items   []T
	HasMore bool
	// Reached is how far was looked when the page is short of its limit and more
	// may lie beyond; else nil, and the next page begins at the last item.
	Reached *PageKey
}
