// Two processes on one PostgreSQL and one Redis.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { Inbox, edit, identify, page, send, subscription } from '../lib/inbox.mjs';
import { createApp, eventually, query, startServer, storage, userToken } from '../lib/server.mjs';

describe('two processes', () => {
  let store, app, token, servers;
  before(async () => {
    store = await storage('production');
    app = await createApp(store);
    servers = await Promise.all([startServer(store), startServer(store)]);
    await query(servers[0], app.secretKey, identify, { id: 'ada' });
    token = await userToken(store, 'ada');
  });
  after(async () => {
    await Promise.all((servers ?? []).map((s) => s.stop()));
    await store?.drop();
  });

  test('a send through one reaches a subscriber on the other', async () => {
    const inbox = new Inbox();
    const client = createClient({ url: servers[1].ws, webSocketImpl: WebSocket, connectionParams: { authorization: `Bearer ${token}` } });
    client.subscribe({ query: subscription, variables: { after: null } }, { next: ({ data }) => inbox.apply(data.inbox), error() {}, complete() {} });
    await eventually('the snapshot', () => inbox.events === 1);

    const started = Date.now();
    await query(servers[0], app.secretKey, send, { to: ['ada'], title: 'across' });
    await eventually('the event', () => inbox.items.size === 1);
    assert.ok(Date.now() - started < 2500, 'the event came by healing and not by the bus');
    assert.equal([...inbox.items.values()][0].title, 'across');
    client.dispose();
  });

  test('an edit through one changes what a subscriber on the other shows', async () => {
    const inbox = new Inbox();
    const client = createClient({ url: servers[1].ws, webSocketImpl: WebSocket, connectionParams: { authorization: `Bearer ${token}` } });
    client.subscribe({ query: subscription, variables: { after: null } }, { next: ({ data }) => inbox.apply(data.inbox), error() {}, complete() {} });
    const shown = (title) => [...inbox.items.values()].filter((n) => n.title === title).length;
    const { sendNotification } = await query(servers[0], app.secretKey, send, { to: ['ada'], title: 'as it was' });
    await eventually('the event', () => shown('as it was') === 1);
    const { counters, items } = inbox;
    const held = items.size;

    const edited = await query(servers[0], app.secretKey, edit, { id: sendNotification.send.id, title: 'as it is' });
    assert.deepEqual(edited.editSend, { send: { edition: 1 }, userErrors: [] });
    await eventually('the edit', () => shown('as it is') === 1);
    assert.equal(shown('as it was'), 0);
    assert.equal(inbox.items.size, held);
    assert.deepEqual(inbox.counters, counters);
    client.dispose();
  });

  test('what becomes of deliveries reaches a subscriber on the other', async () => {
    await query(servers[0], app.secretKey, `mutation { createProvider(input: {kind: "log", channel: SMS, name: "L"}) { userErrors { message } }
      identifyUser(input: {identifier: "bob", phoneNumber: "+4930123456"}) { userErrors { message } } }`);
    const told = [];
    const client = createClient({ url: servers[1].ws, webSocketImpl: WebSocket, connectionParams: { authorization: `Bearer ${app.secretKey}` } });
    client.subscribe(
      { query: 'subscription { deliveries(user: "bob", states: [SENT]) { position changed { state address notification { title } } } }' },
      { next: ({ data }) => told.push(data.deliveries), error() {}, complete() {} },
    );
    await eventually('the first event', () => told.length === 1);
    assert.deepEqual(told[0].changed, []);

    const started = Date.now();
    await query(servers[0], app.secretKey, send, { to: ['bob'], title: 'by text message' });
    await eventually('the delivery', () => told.length > 1);
    assert.ok(Date.now() - started < 2500, 'the event came by healing and not by the bus');
    assert.deepEqual(told[1].changed, [{ state: 'SENT', address: '+4930123456', notification: { title: 'by text message' } }]);
    client.dispose();
  });

  test('scheduled sends fire once', async () => {
    const before = (await query(servers[0], token, page)).viewer.user.inbox.counters.total;
    const due = new Date(Date.now() + 1500).toISOString();
    for (let i = 0; i < 20; i++) {
      const { sendNotification } = await query(servers[i % 2], app.secretKey, send, { to: ['ada'], title: `later ${i}`, sendAt: due });
      assert.equal(sendNotification.send.status, 'SCHEDULED');
    }
    const inbox = () => query(servers[1], token, page).then((d) => d.viewer.user.inbox);
    await eventually('all to have fired', async () => (await inbox()).counters.total >= before + 20);
    await new Promise((done) => setTimeout(done, 1500)); // long enough for a second firing to show
    const { nodes, counters } = await inbox();
    const titles = nodes.map((n) => n.title).filter((t) => t.startsWith('later')).sort();
    assert.equal(counters.total, before + 20);
    assert.equal(new Set(titles).size, 20);
  });

  test('an idempotency key holds across processes', async () => {
    const before = (await query(servers[0], token, page)).viewer.user.inbox.counters.total;
    const answers = await Promise.all(
      Array.from({ length: 16 }, (_, i) => query(servers[i % 2], app.secretKey, send, { to: ['ada'], title: 'only once', key: 'k-1' })),
    );
    const ids = new Set(answers.map((a) => a.sendNotification.send.id));
    assert.equal(ids.size, 1);
    assert.equal(answers.filter((a) => !a.sendNotification.replayed).length, 1);
    assert.equal((await query(servers[1], token, page)).viewer.user.inbox.counters.total, before + 1);
  });
});
