package transport

import (
	"mime"
	"strconv"
	"strings"
)

// The media types that answers come in.
const (
	mediaJSON    = "application/json"
	mediaGraphQL = "application/graphql-response+json"
	mediaEvents  = "text/event-stream"
)

// maxRanges bounds how much of an Accept header is read.
const maxRanges = 32

// mediaRange is one element of an Accept header.
type mediaRange struct {
	media   string // "*/*", "application/*" or a whole type, in lower case
	quality float64
}

// negotiate chooses the media type of the answer: the one with the highest
// quality, and among equals the one that the client names first. A header that
// is absent or only has wildcards means application/json. An event stream is
// never chosen by a wildcard. It returns "" when nothing fits.
func negotiate(accept []string) string {
	ranges := parseAccept(accept)
	if len(ranges) == 0 && strings.TrimSpace(strings.Join(accept, "")) == "" {
		return mediaJSON
	}
	best, bestQuality, bestAt := "", 0.0, 0
	for _, offer := range [...]string{mediaJSON, mediaGraphQL, mediaEvents} {
		quality, at := fits(offer, ranges)
		if quality > bestQuality || quality == bestQuality && quality > 0 && at < bestAt {
			best, bestQuality, bestAt = offer, quality, at
		}
	}
	return best
}

// fits is the quality that the most specific matching range gives to a media
// type, and where that range stands; 0 when none matches.
func fits(offer string, ranges []mediaRange) (quality float64, at int) {
	kind, _, _ := strings.Cut(offer, "/")
	matches := []string{offer, kind + "/*", "*/*"}
	if offer == mediaEvents {
		matches = matches[:1]
	}
	for _, match := range matches {
		for i, r := range ranges {
			if r.media == match {
				return r.quality, i
			}
		}
	}
	return 0, 0
}

func parseAccept(accept []string) []mediaRange {
	var ranges []mediaRange
	for _, part := range strings.Split(strings.Join(accept, ","), ",") {
		if len(ranges) == maxRanges {
			break
		}
		media, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		if charset := params["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
			continue // answers are in UTF-8
		}
		r := mediaRange{media: media, quality: 1}
		if q, ok := params["q"]; ok {
			f, err := strconv.ParseFloat(q, 64)
			if err != nil || f < 0 || f > 1 {
				continue
			}
			r.quality = f
		}
		ranges = append(ranges, r)
	}
	return ranges
}

// readsGzip reports whether an Accept-Encoding header admits gzip.
func readsGzip(header []string) bool {
	for _, part := range strings.Split(strings.Join(header, ","), ",") {
		coding, params, _ := strings.Cut(part, ";")
		if strings.EqualFold(strings.TrimSpace(coding), "gzip") {
			q, ok := strings.CutPrefix(strings.ReplaceAll(params, " ", ""), "q=")
			f, err := strconv.ParseFloat(q, 64)
			return !ok || err == nil && f > 0
		}
	}
	return false
}
