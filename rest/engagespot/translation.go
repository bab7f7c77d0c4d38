package engagespot

import (
	"embed"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
)

//go:embed translations/*.json
var translationFiles embed.FS

// translations are the texts of the inbox by language.
var translations = func() map[string]json.RawMessage {
	files, err := translationFiles.ReadDir("translations")
	if err != nil {
		panic(err) // they are in the binary
	}
	out := make(map[string]json.RawMessage, len(files))
	for _, f := range files {
		text, err := translationFiles.ReadFile("translations/" + f.Name())
		if err != nil {
			panic(err)
		}
		out[strings.TrimSuffix(f.Name(), ".json")] = text
	}
	return out
}()

// translation answers with the texts of the inbox in the language that the
// browser likes best of those that are here. Without one, no texts mean those
// that the client brings, in English. It is asked without a credential.
func (a *API) translation(r *http.Request) (int, any, error) {
	if text, ok := translations[preferred(strings.Join(r.Header.Values("Accept-Language"), ","))]; ok {
		return http.StatusOK, text, nil
	}
	return http.StatusOK, struct{}{}, nil
}

// preferred is the language of the highest quality in an Accept-Language, as
// far as it is here or English; of equals, the first.
func preferred(accept string) (language string) {
	best := 0.0
	for i, part := range strings.Split(accept, ",") {
		if i == 50 {
			break
		}
		tag, parameter, _ := strings.Cut(strings.TrimSpace(part), ";")
		quality := 1.0
		if q, ok := strings.CutPrefix(strings.TrimSpace(parameter), "q="); ok {
			quality, _ = strconv.ParseFloat(q, 64) // what is no number is not wanted
		}
		primary, _, _ := strings.Cut(strings.ToLower(tag), "-")
		if _, here := translations[primary]; (here || primary == "en") && quality > best {
			language, best = primary, quality
		}
	}
	return language
}
