package model

// Drift is an inbox whose counters are not what its rows say: Have is what the
// inbox says, Want what its rows add up to.
type Drift struct {
	Env        EnvID
	User       UserID
	Want, Have Counters
}

// Verification is what came of comparing counters with rows. Drifts holds the
// first of the Drifted inboxes.
type Verification struct {
	Inboxes int64
	Drifted int64
	Drifts  []Drift
}
