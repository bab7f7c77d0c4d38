// graphql-ws as applications set it up, with retries: what it brings back by
// itself.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { openGate } from '../lib/gate.mjs';
import { eventually, setups } from '../lib/server.mjs';
import { world } from '../lib/world.mjs';

const live = 'subscription { inbox { position reset counters { total } added { title } } }';
const many = 60; // more than one socket may run at once

for (const setup of setups) {
  describe(`graphql-ws with retries on ${setup}`, { concurrency: 4 }, () => {
    let w;
    before(async () => {
      w = await world(setup, { users: ['ada', 'grace'] });
    });
    after(() => w?.end());

    /** A client with what it went through. */
    function connect(authorization) {
      const seen = { sockets: [], closes: [], opened: 0 };
      class Tracked extends WebSocket {
        constructor(...args) {
          super(...args);
          seen.sockets.push(this);
        }
      }
      const client = createClient({
        url: w.server.ws,
        webSocketImpl: Tracked,
        connectionParams: async () => ({ authorization: await authorization() }),
        retryAttempts: 10,
        retryWait: () => new Promise((done) => setTimeout(done, 50)),
        on: { closed: (event) => seen.closes.push(event.code), connected: () => seen.opened++ },
      });
      return { client, seen };
    }

    test(`${many} queries and ${many} subscriptions at once, and all subscriptions again after a cut`, async () => {
      const token = `Bearer ${await w.token('ada')}`;
      const { client, seen } = connect(() => token);
      const ask = async () => {
        try {
          for await (const result of client.iterate({ query: '{ viewer { user { identifier } } }' })) return result.data?.viewer.user.identifier;
        } catch (errors) {
          const wait = errors[0]?.extensions?.retryAfterSeconds; // a server with much to do says when to ask again
          if (!wait) throw errors;
          await new Promise((done) => setTimeout(done, wait * 1000));
          return ask();
        }
      };
      assert.deepEqual(new Set(await Promise.all(Array.from({ length: many }, ask))), new Set(['ada']));

      const events = Array.from({ length: many }, () => []);
      const failures = [];
      for (const list of events) {
        client.subscribe({ query: live }, { next: ({ data }) => list.push(data.inbox), error: (err) => failures.push(err), complete() {} });
      }
      await eventually('every snapshot', () => failures.length || events.every((list) => list.length === 1));
      seen.sockets.at(-1).terminate();
      await eventually('every snapshot again', () => failures.length || events.every((list) => list.length === 2));
      await w.send('ada', 'to all');
      await eventually('the send, everywhere', () => failures.length || events.every((list) => list.at(-1).added.some((n) => n.title === 'to all')));
      assert.deepEqual(failures, []);
      await client.dispose();
    });

    test('a token that expires is a reason to come back with a fresh one', async () => {
      const tokens = [await w.token('grace', '2s'), await w.token('grace')];
      const { client, seen } = connect(() => `Bearer ${tokens.shift()}`);
      const events = [];
      let failure;
      client.subscribe({ query: live }, { next: ({ data }) => events.push({ on: seen.opened, ...data.inbox }), error: (err) => (failure = err), complete() {} });
      await eventually('a snapshot on the second connection', () => failure || events.some(({ on }) => on === 2));
      assert.equal(failure, undefined);
      assert.deepEqual(seen.closes, [4403]);
      await w.send('grace', 'after it');
      await eventually('what was sent then', () => events.at(-1).added.some((n) => n.title === 'after it'));
      await client.dispose();
    });
  });
}

describe('graphql-ws while PostgreSQL is away', () => {
  let gate, w;
  before(async () => {
    gate = await openGate(process.env.TEST_POSTGRES_URL);
    w = await world('production', { users: ['ada'], env: (store) => ({ DATABASE_URL: gate.url(store.env.DATABASE_URL) }) });
  });
  after(async () => {
    await w?.end();
    await gate?.close();
  });

  test('a subscription that begins meanwhile begins when it is back, beside one that was there', async () => {
    const token = `Bearer ${await w.token('ada')}`;
    const closes = [];
    const client = createClient({
      url: w.server.ws,
      webSocketImpl: WebSocket,
      connectionParams: { authorization: token },
      retryAttempts: 100,
      retryWait: () => new Promise((done) => setTimeout(done, 100)),
      on: { closed: (event) => closes.push(event.code) },
    });
    const failures = [];
    const follow = () => {
      const events = [];
      client.subscribe({ query: live }, { next: ({ data }) => events.push(data.inbox), error: (err) => failures.push(err), complete() {} });
      return events;
    };
    const first = follow();
    await eventually('the first snapshot', () => first.length === 1);
    gate.shut();
    const second = follow();
    await new Promise((done) => setTimeout(done, 1500)); // what it would take to be refused
    assert.deepEqual([failures, second], [[], []]);
    gate.open();
    await eventually('the second snapshot', () => failures.length || second.length === 1);
    await w.send('ada', 'back again');
    await eventually('the send, on both', () => failures.length || [first, second].every((list) => list.at(-1).added.some((n) => n.title === 'back again')));
    assert.deepEqual(failures, []);
    assert.ok(closes.every((code) => code === 1013), `closed with ${closes}`);
    await client.dispose();
  });
});
