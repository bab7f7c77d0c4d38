package inbox

import (
	"fmt"

	"carillon/model"
)

func checkIDs(check *model.Check, ids []model.NotificationID) {
	check.That(len(ids) >= 1 && len(ids) <= model.MaxMarkIDs, fmt.Sprintf("must be 1 to %d ids, has %d", model.MaxMarkIDs, len(ids)), "ids")
}

func checkState(check *model.Check, as model.MarkState) {
	switch as {
	case model.MarkSeen, model.MarkUnseen, model.MarkRead, model.MarkUnread, model.MarkInteracted, model.MarkArchived, model.MarkUnarchived,
		model.MarkReadOnly, model.MarkUnseenOnly:
	default:
		check.That(false, "must be SEEN, UNSEEN, READ, UNREAD, INTERACTED, ARCHIVED or UNARCHIVED", "as")
	}
}

func checkPage(page model.PageRequest) error {
	var check model.Check
	field := "first"
	if page.Backward {
		field = "last"
	}
	check.That(page.Limit >= 1 && page.Limit <= model.MaxPage, fmt.Sprintf("must be between 1 and %d", model.MaxPage), field)
	return check.Err()
}
