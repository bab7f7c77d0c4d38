// Apollo Client 4 with its own HTTP and graphql-ws links, on both set-ups.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { ApolloClient, ApolloLink, CombinedGraphQLErrors, HttpLink, InMemoryCache, gql } from '@apollo/client';
import { PersistedQueryLink } from '@apollo/client/link/persisted-queries';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { relayStylePagination } from '@apollo/client/utilities';
import { OperationTypeNode } from 'graphql';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { eventually, setups } from '../lib/server.mjs';
import { world } from '../lib/world.mjs';

const item = gql`
  fragment Item on Notification {
    id
    title
    readAt
  }
`;
const inbox = gql`
  query Inbox($first: Int!, $after: PageCursor) {
    viewer {
      user {
        id
        inbox(first: $first, after: $after) {
          counters {
            unread
          }
          edges {
            cursor
            node {
              ...Item
            }
          }
          pageInfo {
            hasNextPage
            hasPreviousPage
            startCursor
            endCursor
          }
        }
      }
    }
  }
  ${item}
`;
const live = gql`
  subscription Live {
    inbox {
      position
      counters {
        unread
      }
      added {
        ...Item
      }
      changed {
        ...Item
      }
    }
  }
  ${item}
`;
const markRead = gql`
  mutation Read($ids: [ID!]!) {
    markNotifications(input: { ids: $ids, as: READ }) {
      notifications {
        ...Item
      }
      userErrors {
        message
      }
    }
  }
  ${item}
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

/** A client as Apollo's documentation has it. */
function connect(server, authorization, { first = [], ...http } = {}) {
  const socket = createClient({ url: server.ws, webSocketImpl: WebSocket, connectionParams: { authorization } });
  const requests = new HttpLink({ uri: server.graphql, headers: { authorization }, ...http });
  const client = new ApolloClient({
    cache: new InMemoryCache({ typePolicies: { Viewer: { merge: true }, User: { fields: { inbox: relayStylePagination() } } } }),
    link: ApolloLink.from([
      ...first,
      ApolloLink.split(({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION, new GraphQLWsLink(socket), requests),
    ]),
  });
  return {
    client,
    end() {
      client.stop();
      socket.dispose();
    },
  };
}

for (const setup of setups) {
  describe(`Apollo Client on ${setup}`, () => {
    let w, authorization, ada;
    before(async () => {
      w = await world(setup, { users: ['ada'] });
      authorization = `Bearer ${await w.token('ada')}`;
      ada = connect(w.server, authorization);
    });
    after(async () => {
      ada?.end();
      await w?.end();
    });

    /** Runs one query with a client that has a link or a setting of its own. */
    async function once(options, query = who) {
      const requests = [];
      const own = connect(w.server, authorization, {
        ...options,
        fetch: async (url, init) => {
          const res = await fetch(url, init);
          requests.push({ url, method: init.method ?? 'GET', status: res.status });
          return res;
        },
      });
      try {
        return { ...(await own.client.query({ query })), requests };
      } finally {
        own.end();
      }
    }

    test('queries, pages, mutates, and hears of it live', async () => {
      const events = [];
      const heard = ada.client.subscribe({ query: live }).subscribe(({ data, error }) => events.push(error ?? data.inbox));
      await eventually('the snapshot', () => events.length === 1);

      for (const title of ['one', 'two', 'three']) await w.send('ada', title);
      await eventually('three events', () => events.flatMap((e) => e.added).length === 3);
      assert.deepEqual(events.flatMap((e) => e.added).map((n) => n.title).sort(), ['one', 'three', 'two']);

      const list = ada.client.watchQuery({ query: inbox, variables: { first: 2 }, notifyOnNetworkStatusChange: false });
      const shown = () => list.getCurrentResult().data?.viewer?.user.inbox;
      const watching = list.subscribe(() => {});
      await eventually('the first page', shown);
      assert.deepEqual(shown().edges.map((e) => e.node.title), ['three', 'two']);
      assert.equal(shown().pageInfo.hasNextPage, true);
      await list.fetchMore({ variables: { after: shown().pageInfo.endCursor } });
      await eventually('the second page', () => shown().edges.length === 3);
      assert.deepEqual(shown().edges.map((e) => e.node.title), ['three', 'two', 'one']);
      assert.equal(shown().pageInfo.hasNextPage, false);

      const id = shown().edges[0].node.id;
      const { data } = await ada.client.mutate({ mutation: markRead, variables: { ids: [id] } });
      assert.deepEqual(data.markNotifications.userErrors, []);
      await eventually('the mark in the cache', () => shown().edges[0].node.readAt);
      await eventually('the mark in the stream', () => events.some((e) => e.changed.some((n) => n.id === id && n.readAt)));
      assert.equal(events.at(-1).counters.unread, 2);
      watching.unsubscribe();
      heard.unsubscribe();
    });

    test('sees the errors of a document with their codes', async () => {
      for (const [query, code] of [
        [gql`{ viewer { nobody } }`, 'GRAPHQL_VALIDATION_FAILED'],
        [gql`{ users { nodes { identifier } } }`, 'FORBIDDEN'],
      ]) {
        await assert.rejects(ada.client.query({ query }), (err) => {
          assert.ok(CombinedGraphQLErrors.is(err), `${err.name}: ${err.message}`);
          assert.equal(err.errors[0].extensions.code, code);
          return true;
        });
      }
    });

    test('sees that its credential is wrong', async () => {
      const stranger = connect(w.server, `${authorization.slice(0, -4)}AAAA`);
      await assert.rejects(stranger.client.query({ query: who }), (err) => {
        assert.ok(CombinedGraphQLErrors.is(err), `${err.name}: ${err.message}`);
        assert.equal(err.errors[0].extensions.code, 'UNAUTHENTICATED');
        return true;
      });
      stranger.end();
    });

    test('asks by GET', async () => {
      const { data, requests } = await once({ useGETForQueries: true });
      assert.equal(data.viewer.user.identifier, 'ada');
      assert.deepEqual(requests.map((r) => r.method), ['GET']);
    });

    test('goes on without persisted queries, which this server does not keep', async () => {
      const sha256 = (text) => createHash('sha256').update(text).digest('hex');
      const { data, requests } = await once({ first: [new PersistedQueryLink({ sha256 })] });
      assert.equal(data.viewer.user.identifier, 'ada');
      assert.equal(requests.length, 2, 'the hash alone, then the document');
    });
  });
}
