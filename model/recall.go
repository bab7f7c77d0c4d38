package model

// MaxRecall is how many notifications one call takes back.
const MaxRecall = 100

// Recalled is what became of notifications that were to be taken back.
type Recalled struct {
	Recalled []NotificationID
	NotFound []NotificationID // not there, or not any more
}
