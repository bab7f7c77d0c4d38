package people

import (
	"net/http"
	"time"

	"carillon/auth"
	"carillon/model"
	"carillon/rest"
)

// upload takes a file of users, and answers when all of it is safe.
func (a *API) upload(r *http.Request) (int, any, error) {
	caller, err := auth.RequireSecret(r.Context())
	if err != nil {
		return 0, nil, err
	}
	dry, err := dryRun(r)
	if err != nil {
		return 0, nil, err
	}
	file, err := rest.Upload(r, model.MaxImportBytes, "text/csv", "application/csv", "application/octet-stream")
	if err != nil {
		return 0, nil, err
	}
	i, err := a.Users.Import(r.Context(), caller.Env.ID, file, dry)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusAccepted, map[string]any{"import": shown(i)}, nil
}

func dryRun(r *http.Request) (bool, error) {
	switch r.URL.Query().Get("dryRun") {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	}
	return false, model.Errorf(model.KindInvalid, "dryRun must be true or false")
}

func (a *API) progress(r *http.Request) (int, any, error) {
	caller, err := auth.RequireSecret(r.Context())
	if err != nil {
		return 0, nil, err
	}
	i, err := a.Users.FindImport(r.Context(), caller.Env.ID, model.ImportID(r.PathValue("id")))
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, map[string]any{"import": shown(i)}, nil
}

type wireImport struct {
	ID         model.ImportID     `json:"id"`
	Status     model.ImportStatus `json:"status"`
	DryRun     bool               `json:"dryRun"`
	Total      int64              `json:"total"`
	Processed  int64              `json:"processed"`
	Valid      int64              `json:"valid"`
	Created    int64              `json:"created"`
	Changed    int64              `json:"changed"`
	Invalid    int64              `json:"invalid"`
	Duplicates int64              `json:"duplicates"`
	Ignored    []string           `json:"ignoredColumns"`
	Errors     []wireImportError  `json:"errors"`
	CreatedAt  time.Time          `json:"createdAt"`
	FinishedAt *time.Time         `json:"finishedAt"`
}

type wireImportError struct {
	Line    int64  `json:"line"`
	Column  string `json:"column,omitempty"`
	Message string `json:"message"`
}

func shown(i model.Import) wireImport {
	out := wireImport{
		ID: i.ID, Status: i.Status, DryRun: i.DryRun, Total: i.Total, Processed: i.Processed, Valid: i.Valid(), Created: i.Created, Changed: i.Changed,
		Invalid: i.Invalid, Duplicates: i.Duplicates, Ignored: i.Ignored(), Errors: []wireImportError{}, CreatedAt: i.CreatedAt,
	}
	for _, e := range i.Errors {
		out.Errors = append(out.Errors, wireImportError(e))
	}
	if !i.FinishedAt.IsZero() {
		out.FinishedAt = &i.FinishedAt
	}
	return out
}
