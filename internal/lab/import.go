package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// Import is a file of users that was uploaded.
type Import struct {
	ID, Status                                                     string
	Total, Processed, Valid, Created, Changed, Invalid, Duplicates int
}

// Upload uploads a file of users, and gives the import that it became.
func (c *Client) Upload(ctx context.Context, file io.Reader) (Import, error) {
	var out struct{ Import Import }
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(c.URL, "/graphql")+"/import/users.csv", file)
	if err != nil {
		return out.Import, err
	}
	req.Header.Set("Content-Type", "text/csv")
	req.Header.Set("Authorization", "Bearer "+c.Credential)
	res, err := c.http.Do(req)
	if err != nil {
		return out.Import, err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return out.Import, err
	}
	if res.StatusCode != http.StatusAccepted {
		return out.Import, &AnswerError{res.StatusCode, string(raw)}
	}
	return out.Import, json.Unmarshal(raw, &out)
}

// ImportOf reads an import.
func (c *Client) ImportOf(ctx context.Context, id string) (Import, error) {
	var out struct{ Import *Import }
	err := c.Do(ctx, `query ($id: ID!) { import(id: $id) { id status total processed valid created changed invalid duplicates } }`, map[string]any{"id": id}, &out)
	if err == nil && out.Import == nil {
		err = fmt.Errorf("there is no import %s", id)
	}
	if err != nil {
		return Import{}, err
	}
	return *out.Import, nil
}

// ImportFile is a file of so many users, written as it is read. Each hundredth
// row repeats the one before, and each hundredth after that is wrong.
func ImportFile(rows int) io.Reader {
	r, w := io.Pipe()
	go func() {
		_, err := io.WriteString(w, "identifier,first_name,last_name,email,attributes.plan,attributes.seats\r\n")
		for n := 0; n < rows && err == nil; n++ {
			who, mail := n, "@example.com"
			switch n % 100 {
			case 50:
				who--
			case 51:
				mail = ""
			}
			_, err = fmt.Fprintf(w, "import-%d,First %d,Last %d,u%d%s,plan %d,%d\r\n", who, n, n, n, mail, n%7, n%500)
		}
		w.CloseWithError(err)
	}()
	return r
}
