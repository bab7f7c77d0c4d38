// What an inbox UI does with the stream: fold events into a list.

export const fields = 'id title seenAt readAt archivedAt';

export const subscription = `subscription ($after: InboxPosition) {
  inbox(after: $after, first: 100) {
    position
    counters { total unseen unread }
    reset
    added { ${fields} }
    changed { ${fields} }
    removed
    marked { as upTo at }
  }
}`;

export const page = `query {
  viewer { user { inbox(first: 100) {
    position
    counters { total unseen unread }
    nodes { ${fields} }
  } } }
}`;

/** Folds events as the schema's description of InboxEvent says. */
export class Inbox {
  items = new Map();
  position = null;
  counters = null;
  events = 0;
  resets = [];

  apply(event) {
    this.events++;
    if (event.reset) {
      this.resets.push(event.reset);
      this.items.clear();
    }
    for (const mark of event.marked) {
      for (const item of this.items.values()) {
        item.seenAt ??= mark.at;
        if (mark.as === 'READ') item.readAt ??= mark.at;
      }
    }
    for (const item of [...event.added, ...event.changed]) this.items.set(item.id, { ...item });
    for (const id of event.removed) this.items.delete(id);
    this.position = event.position;
    this.counters = event.counters;
  }

  /** What a default inbox shows, by id. */
  shown() {
    return Object.fromEntries([...this.items.values()].filter((n) => !n.archivedAt).map((n) => [n.id, n]).sort());
  }
}

/** The same of a query's answer. */
export function shownBy(inbox) {
  return Object.fromEntries(inbox.nodes.map((n) => [n.id, n]).sort());
}

export const identify = `mutation ($id: String!) { identifyUser(input: {identifier: $id, firstName: "Ada"}) { user { id identifier } created userErrors { message } } }`;

export const send = `mutation ($to: [String!]!, $title: String!, $sendAt: DateTime, $key: String) {
  sendNotification(input: {to: {users: $to}, title: $title, sendAt: $sendAt, idempotencyKey: $key}) {
    send { id status } replayed userErrors { code path message }
  }
}`;

export const edit = `mutation ($id: ID!, $title: String!) { editSend(input: {id: $id, title: $title}) { send { edition } userErrors { message } } }`;

export const mark = `mutation ($ids: [ID!]!, $as: MarkState!) { markNotifications(input: {ids: $ids, as: $as}) { counters { unread } userErrors { message } } }`;

export const markAll = `mutation ($as: MarkState!, $upTo: InboxPosition) { markAllNotifications(input: {as: $as, upTo: $upTo}) { affected counters { unread } userErrors { message } } }`;

export const remove = `mutation ($ids: [ID!]!) { deleteNotifications(input: {ids: $ids}) { deleted userErrors { message } } }`;
