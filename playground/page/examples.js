// The operations that the playground opens with, a tab each. Lines are short
// enough for half a window.
'use strict';

window.examples = [
  {
    query: `# An inbox, live: choose its user above.
subscription Live {
  inbox {
    position
    counters { total unseen unread }
    reset
    added { id title body createdAt }
    changed { id readAt archivedAt }
    removed
    marked { as at }
  }
}`,
  },
  {
    query: `# A send: choose a secret key above.
mutation Send {
  sendNotification(
    input: {
      to: {
        inlineUsers: [
          { identifier: "ada", firstName: "Ada" }
        ]
      }
      title: "Your order is on its way"
      body: "It should be with you on Friday."
    }
  ) {
    send {
      id
      status
      progress { done skipped }
    }
    plan {
      identifier
      channels {
        channel
        decision { allowed reason }
      }
    }
    userErrors { code path message }
  }
}`,
  },
  {
    query: `# The same inbox as a page.
query Inbox($first: Int = 10, $unread: Boolean) {
  viewer {
    user {
      identifier
      inbox(
        first: $first
        filter: { unread: $unread }
      ) {
        counters { total unseen unread }
        position
        nodes { id title body readAt }
        pageInfo { hasNextPage endCursor }
      }
    }
  }
}`,
  },
  {
    query: `# Everything read.
mutation ReadAll {
  markAllNotifications(input: { as: READ }) {
    affected
    counters { unread }
    userErrors { message }
  }
}`,
  },
  {
    query: `# Would Ada be told, and by which rule?
query Why {
  explainPreference(
    user: "ada"
    channel: IN_APP
  ) {
    allowed
    reason
    ladder { reason outcome detail }
  }
}`,
  },
];
