package model

import (
	"fmt"
	"mime"
	"strconv"
)

// Limits of what goes with a send.
const (
	MaxAttachments    = 20
	MaxAttachment     = 10 << 20 // bytes of one
	MaxAllAttachments = 10 << 20 // bytes of all of a send together
)

// Attachment is a file that goes with the e-mails of a send. It is kept beside
// the send and is no part of what an inbox shows.
type Attachment struct {
	Name        string
	ContentType string // empty: application/octet-stream
	Key         string // the customer's own name for it, for templates; may be empty
	Content     []byte
}

func checkAttachments(list []Attachment, c *Check) {
	if len(list) > MaxAttachments {
		c.Add(ProblemLimit, fmt.Sprintf("must hold at most %d attachments, holds %d", MaxAttachments, len(list)), "attachments")
		return
	}
	all := 0
	for i, a := range list {
		at := c.At("attachments", strconv.Itoa(i))
		if m := CheckIdentifier(a.Name); m != "" {
			at.Add(ProblemInvalid, m, "name")
		}
		if m := CheckIdentifier(a.Key); m != "" && a.Key != "" {
			at.Add(ProblemInvalid, m, "key")
		}
		if a.ContentType != "" {
			kind, _, err := mime.ParseMediaType(a.ContentType)
			at.That(err == nil && kind != "" && CheckIdentifier(a.ContentType) == "", "must be a content type, such as application/pdf", "contentType")
		}
		at.That(len(a.Content) > 0 && len(a.Content) <= MaxAttachment, fmt.Sprintf("must have 1 to %d bytes, has %d", MaxAttachment, len(a.Content)), "content")
		all += len(a.Content)
	}
	c.That(all <= MaxAllAttachments, fmt.Sprintf("must have at most %d bytes together, have %d", MaxAllAttachments, all), "attachments")
}
