// The real graphql-ws and graphql-sse clients: query, mutate, subscribe, and
// resume from a position after a cut, on both set-ups.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createClient as createSSE } from 'graphql-sse';
import { createClient as createWS } from 'graphql-ws';
import WebSocket from 'ws';
import { Inbox, identify, mark, markAll, page, remove, send, shownBy, subscription } from '../lib/inbox.mjs';
import { createApp, eventually, query, setups, startServer, storage, userToken } from '../lib/server.mjs';

const clients = {
  'graphql-ws': (server, token) => {
    const sockets = new Set();
    class Tracked extends WebSocket {
      constructor(...args) {
        super(...args);
        sockets.add(this);
      }
    }
    const client = createWS({ url: server.ws, webSocketImpl: Tracked, connectionParams: { authorization: `Bearer ${token}` }, retryAttempts: 0 });
    return { client, cut: () => sockets.forEach((s) => s.terminate()) };
  },
  'graphql-sse': (server, token) => {
    const client = createSSE({ url: server.graphql, headers: { authorization: `Bearer ${token}` }, retryAttempts: 0 });
    return { client, cut: () => client.dispose() };
  },
};

/** Runs an operation to its end and returns its one result. */
async function one(client, text, variables) {
  for await (const result of client.iterate({ query: text, variables })) {
    assert.equal(result.errors, undefined, JSON.stringify(result.errors));
    return result.data;
  }
}

/** Folds a subscription into inbox until it ends or is cut. */
function follow({ client, cut }, inbox) {
  const stream = client.iterate({ query: subscription, variables: { after: inbox.position } });
  const done = (async () => {
    try {
      for await (const { data, errors } of stream) {
        if (errors) throw new Error(JSON.stringify(errors));
        inbox.apply(data.inbox);
      }
    } catch (err) {
      inbox.ended = err;
    }
  })();
  return { done, cut };
}

for (const setup of setups) {
  for (const [name, connect] of Object.entries(clients)) {
    describe(`${name} on ${setup}`, () => {
      let store, server, app, token;
      before(async () => {
        store = await storage(setup);
        app = await createApp(store);
        server = await startServer(store);
        await query(server, app.secretKey, identify, { id: 'ada' });
        token = await userToken(store, 'ada');
      });
      after(async () => {
        await server?.stop();
        await store?.drop();
      });

      test('queries and mutates', async () => {
        const secret = connect(server, app.secretKey);
        const { identifyUser } = await one(secret.client, identify, { id: 'grace' });
        assert.equal(identifyUser.user.identifier, 'grace');
        const user = connect(server, token);
        const { viewer } = await one(user.client, '{ viewer { user { identifier } app { name } } }');
        assert.deepEqual(viewer, { user: { identifier: 'ada' }, app: { name: 'shop' } });
        secret.client.dispose();
        user.client.dispose();
      });

      test('subscribes, and resumes from a position after a cut', async () => {
        const live = new Inbox();
        const first = follow(connect(server, token), live);
        await eventually('the snapshot', () => live.events === 1);
        assert.deepEqual(live.resets, ['FIRST']);

        await query(server, app.secretKey, send, { to: ['ada'], title: 'one' });
        await query(server, app.secretKey, send, { to: ['ada'], title: 'two' });
        await eventually('both sends', () => live.items.size === 2);
        assert.equal(live.counters.unread, 2);

        first.cut();
        await first.done;
        const [one] = [...live.items.values()].filter((n) => n.title === 'one');
        const upTo = live.position;
        await query(server, app.secretKey, send, { to: ['ada'], title: 'three' });
        await query(server, token, markAll, { as: 'READ', upTo });
        await query(server, token, mark, { ids: [one.id], as: 'UNREAD' });
        await query(server, app.secretKey, send, { to: ['ada'], title: 'four' });
        const { viewer: missed } = await query(server, token, page);
        const four = missed.user.inbox.nodes.find((n) => n.title === 'four');
        await query(server, token, remove, { ids: [four.id] });

        const second = follow(connect(server, token), live);
        const events = live.events;
        await eventually('what was missed', () => live.events > events);
        const { viewer } = await query(server, token, page);
        assert.deepEqual(live.resets, ['FIRST'], 'the resumed stream began anew');
        assert.deepEqual(live.shown(), shownBy(viewer.user.inbox));
        assert.deepEqual(live.counters, viewer.user.inbox.counters);
        assert.equal(live.counters.unread, 2);

        await query(server, app.secretKey, send, { to: ['ada'], title: 'five' });
        await eventually('the tail after the resume', () => [...live.items.values()].some((n) => n.title === 'five'));
        second.cut();
        await second.done;
      });

      test('a foreign position begins anew and says so', async () => {
        await query(server, app.secretKey, identify, { id: 'mallory' });
        const other = new Inbox();
        const foreign = follow(connect(server, await userToken(store, 'mallory')), other);
        await eventually('a snapshot', () => other.events === 1);
        foreign.cut();
        await foreign.done;
        const mine = new Inbox();
        mine.position = other.position;
        const stream = follow(connect(server, token), mine);
        await eventually('a snapshot', () => mine.events === 1);
        assert.deepEqual(mine.resets, ['UNKNOWN_POSITION']);
        stream.cut();
        await stream.done;
      });

      test('a wrong credential is refused', async () => {
        const inbox = new Inbox();
        const stream = follow(connect(server, token.slice(0, -4) + 'AAAA'), inbox);
        await stream.done;
        assert.equal(inbox.events, 0);
        assert.ok(inbox.ended, 'the stream ended without an error');
        if (name === 'graphql-ws') assert.equal(inbox.ended.code, 4401);
      });
    });
  }
}
