// The documents of an inbox as a Relay application has them. relay-compiler
// reads them; nothing runs this file.
import { graphql } from 'relay-runtime';

graphql`
  query inboxQuery($count: Int!, $cursor: PageCursor) {
    viewer {
      user {
        ...inbox_list @arguments(count: $count, cursor: $cursor)
      }
    }
  }
`;

graphql`
  fragment inbox_list on User
  @argumentDefinitions(count: { type: "Int", defaultValue: 2 }, cursor: { type: "PageCursor" })
  @refetchable(queryName: "inboxPaginationQuery") {
    id
    identifier
    inbox(first: $count, after: $cursor) @connection(key: "inbox_inbox") {
      counters {
        total
        unread
      }
      position
      edges {
        node {
          id
          ...inbox_item
        }
      }
    }
  }
`;

graphql`
  fragment inbox_item on Notification {
    title
    readAt
    createdAt
  }
`;

graphql`
  mutation inboxMarkMutation($input: MarkNotificationsInput!) {
    markNotifications(input: $input) {
      notifications {
        ...inbox_item
      }
      counters {
        unread
      }
      userErrors {
        code
        path
        message
      }
    }
  }
`;

graphql`
  mutation inboxDeleteMutation($input: DeleteNotificationsInput!, $connections: [ID!]!) {
    deleteNotifications(input: $input) {
      deleted @deleteEdge(connections: $connections)
      userErrors {
        message
      }
    }
  }
`;

graphql`
  subscription inboxSubscription($after: InboxPosition, $connections: [ID!]!) {
    inbox(after: $after) {
      position
      counters {
        unread
      }
      added @prependNode(connections: $connections, edgeTypeName: "InboxEdge") {
        ...inbox_item
      }
      changed {
        ...inbox_item
      }
      removed @deleteEdge(connections: $connections)
    }
  }
`;
