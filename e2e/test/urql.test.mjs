// urql with its fetch exchange, graphql-ws, and its own server-sent events, on
// both set-ups.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Client, cacheExchange, fetchExchange, gql, subscriptionExchange } from '@urql/core';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { eventually, setups } from '../lib/server.mjs';
import { world } from '../lib/world.mjs';

const inbox = gql`
  query Inbox($first: Int!) {
    viewer {
      user {
        id
        inbox(first: $first) {
          counters {
            unread
          }
          nodes {
            id
            title
            readAt
          }
        }
      }
    }
  }
`;
const live = gql`
  subscription Live {
    inbox {
      counters {
        unread
      }
      added {
        id
        title
      }
      changed {
        id
        readAt
      }
    }
  }
`;
const markRead = gql`
  mutation Read($ids: [ID!]!) {
    markNotifications(input: { ids: $ids, as: READ }) {
      notifications {
        id
        title
        readAt
      }
      userErrors {
        message
      }
    }
  }
`;
const who = gql`
  query Who {
    viewer {
      user {
        identifier
      }
    }
  }
`;

/** A client whose subscriptions run over carrier: websocket or events. */
function connect(server, headers, { carrier = 'websocket', ...options } = {}) {
  const socket = createClient({ url: server.ws, webSocketImpl: WebSocket, connectionParams: { authorization: headers.authorization } });
  const overSocket = subscriptionExchange({
    forwardSubscription: (request) => ({
      subscribe: (sink) => ({ unsubscribe: socket.subscribe({ ...request, query: request.query ?? '' }, sink) }),
    }),
  });
  const client = new Client({
    url: server.graphql,
    exchanges: carrier === 'websocket' ? [cacheExchange, fetchExchange, overSocket] : [cacheExchange, fetchExchange],
    fetchSubscriptions: carrier === 'events',
    fetchOptions: { headers },
    preferGetMethod: false,
    ...options,
  });
  return { client, end: () => socket.dispose() };
}

for (const setup of setups) {
  describe(`urql on ${setup}`, () => {
    let w, authorization;
    before(async () => {
      w = await world(setup, { users: ['ada', 'grace'] });
    });
    after(() => w?.end());

    for (const [carrier, user] of [['websocket', 'ada'], ['events', 'grace']]) {
      test(`queries, mutates, and hears of it live by ${carrier}`, async () => {
        const own = connect(w.server, { authorization: `Bearer ${await w.token(user)}` }, { carrier });
        const events = [];
        const heard = own.client.subscription(live, {}).subscribe(({ data, error }) => events.push(error ?? data.inbox));
        await eventually('the snapshot', () => events.length === 1);
        assert.deepEqual(events[0].added, []);

        for (const title of ['one', 'two']) await w.send(user, title);
        await eventually('two events', () => events.flatMap((e) => e.added).length === 2);

        const results = [];
        const list = own.client.query(inbox, { first: 10 }).subscribe((result) => results.push(result));
        await eventually('the page', () => results.length === 1);
        const nodes = () => results.at(-1).data.viewer.user.inbox.nodes;
        assert.deepEqual(nodes().map((n) => n.title), ['two', 'one']);

        const { data, error } = await own.client.mutation(markRead, { ids: [nodes()[0].id] });
        assert.equal(error, undefined);
        assert.deepEqual(data.markNotifications.userErrors, []);
        // The document cache asks again for what has a Notification in it.
        await eventually('the page after the mark', () => nodes()[0].readAt && !nodes()[1].readAt);
        await eventually('the mark in the stream', () => events.some((e) => e.changed.some((n) => n.id === nodes()[0].id && n.readAt)));
        assert.equal(events.at(-1).counters.unread, 1);
        list.unsubscribe();
        heard.unsubscribe();
        own.end();
      });
    }

    test('asks by GET, also without a credential once a header says that it may', async () => {
      const get = async (headers, query) => {
        const methods = [];
        const own = connect(w.server, headers, {
          preferGetMethod: 'force',
          fetch: (url, init) => {
            methods.push(init.method);
            return fetch(url, init);
          },
        });
        const result = await own.client.query(query, {});
        own.end();
        assert.deepEqual(methods, ['GET']);
        return result;
      };
      authorization = `Bearer ${await w.token('ada')}`;
      assert.equal((await get({ authorization }, who)).data.viewer.user.identifier, 'ada');
      assert.equal((await get({ 'graphql-require-preflight': '1' }, gql`{ __typename }`)).data.__typename, 'Query');
      const { error } = await get({ 'graphql-require-preflight': '1' }, who);
      assert.equal(error.graphQLErrors[0].extensions.code, 'UNAUTHENTICATED');
      assert.equal(error.response.status, 401);
    });

    test('sees errors with their codes', async () => {
      authorization = `Bearer ${await w.token('ada')}`;
      for (const [headers, query, code] of [
        [{ authorization }, gql`{ viewer { nobody } }`, 'GRAPHQL_VALIDATION_FAILED'],
        [{ authorization }, gql`{ users { nodes { identifier } } }`, 'FORBIDDEN'],
        [{ authorization: `${authorization.slice(0, -4)}AAAA` }, who, 'UNAUTHENTICATED'],
      ]) {
        const own = connect(w.server, headers);
        const { error } = await own.client.query(query, {});
        own.end();
        assert.equal(error?.graphQLErrors[0]?.extensions.code, code, String(error));
      }
    });
  });
}
