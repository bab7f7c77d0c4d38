// Engagespot's own client for Node.js, as it is on npm, pointed here by its base
// URL. GraphQL must see what it does, and it what GraphQL does.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { EngagespotClient } from '@engagespot/node';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { cli, createApp, eventually, query, setups, startServer, storage } from '../lib/server.mjs';
import { faults } from '../lib/world.mjs';

const inboxOf = `query ($id: String!) { user(identifier: $id) { identifier profile { email attributes } devices { deviceId }
  inbox(first: 20) { counters { total unseen unread } nodes { number title state seenAt readAt category { identifier } } } } }`;

for (const setup of setups) {
  describe(`@engagespot/node, ${setup}`, () => {
    let store, app, server, client, keys;
    before(async () => {
      store = await storage(setup);
      keys = generateKeyPairSync('rsa', { modulusLength: 2048, publicKeyEncoding: { type: 'spki', format: 'pem' }, privateKeyEncoding: { type: 'pkcs8', format: 'pem' } });
      const file = path.join(store.dir, 'token-key.pem');
      writeFileSync(file, keys.publicKey);
      app = JSON.parse(await cli(store, 'app', 'create', '--name', 'shop', '--environment', 'live', '--token-key', file, '--legacy-tokens', '--json'));
      server = await startServer(store);
      client = EngagespotClient({ apiKey: app.apiKey, apiSecret: app.apiSecret, baseUrl: `${server.http}/v3`, signingKey: keys.privateKey });
    });
    after(async () => {
      await server?.stop();
      await store?.drop();
      if (server) assert.deepEqual(faults(server.log()), [], 'the server logged faults');
    });

    const graph = (id) => query(server, app.secretKey, inboxOf, { id }).then((data) => data.user);
    const asUser = (id) => ({ authorization: `Bearer ${client.generateUserToken(id)}` });
    const own = async (id, method, route, body) => {
      const res = await fetch(`${server.http}/v3${route}`, { method, headers: { ...asUser(id), 'content-type': 'application/json' }, body: body && JSON.stringify(body) });
      return { status: res.status, body: await res.json() };
    };
    /** What the client throws, without what it prints. */
    const refused = async (call) => {
      const print = console.error;
      console.error = () => {};
      try {
        await call();
      } catch (err) {
        return err.response;
      } finally {
        console.error = print;
      }
      throw new Error('nothing was thrown');
    };

    test('users are created, updated and deleted', async () => {
      await client.createOrUpdateUser('jane@example.com');
      const saved = await client.users.createOrUpdateUser('jane@example.com', { firstName: 'Jane', plan: { seats: 3 } });
      assert.equal(saved.identifier, 'jane@example.com');
      const jane = await graph('jane@example.com');
      assert.equal(jane.profile.email, 'jane@example.com');
      assert.deepEqual(jane.profile.attributes.plan, { seats: 3 });
      await client.createOrUpdateUser('bob');
      assert.equal((await client.users.delete('bob')).status, 202); // it forgets a slash
      assert.equal(await graph('bob'), null);
      assert.equal((await refused(() => client.users.delete('bob'))).status, 404);
    });

    test('a token made by the client is the user', async () => {
      const { status, body } = await own('jane@example.com', 'POST', '/sdk/connect', { deviceType: 'browser' });
      assert.equal(status, 200);
      assert.equal(body.app.name, 'shop');
      assert.equal((await own('stranger', 'POST', '/sdk/connect')).status, 404, 'a secure environment created a user');
      const res = await fetch(`${server.http}/v3/notifications`, { headers: { 'x-engagespot-api-key': app.apiKey, 'x-engagespot-user-id': 'jane@example.com' } });
      assert.equal(res.status, 401);
    });

    test('a send is in the inbox, in GraphQL and in the live stream', async () => {
      const events = [];
      const sockets = createClient({ url: server.ws, webSocketImpl: WebSocket, connectionParams: { authorization: asUser('jane@example.com').authorization } });
      sockets.subscribe(
        { query: 'subscription { inbox { counters { unseen } added { title } changed { title readAt seenAt } } }' },
        { next: ({ data }) => events.push(data.inbox), error() {}, complete() {} },
      );
      await eventually('the snapshot', () => events.length === 1);
      const sent = await client.send({
        notification: { title: 'Order 7', message: 'is on its way', url: 'https://example.com/7', category: 'orders', data: { from: 'inner', order: 7 } },
        data: { from: 'outer' },
        sendTo: { recipients: ['jane@example.com', { identifier: 'carl', email: 'carl@example.com' }, 'nobody'] },
      });
      assert.match(sent.requestId, /^[0-9a-f-]{36}$/);
      await eventually('the event', () => events.some((e) => e.added.some((n) => n.title === 'Order 7')));

      const page = await client.inAppInbox.fetch('jane@example.com', 1, 20);
      assert.equal(page.unreadCount, 1);
      assert.equal(page.pagination.totalCount, 1);
      assert.deepEqual(page.data[0].data, { from: 'outer', order: 7 });
      assert.equal(page.data[0].category.identifier, 'orders');
      const jane = await graph('jane@example.com');
      assert.equal(jane.inbox.nodes[0].number, String(page.data[0].id));
      assert.equal((await graph('carl')).profile.email, 'carl@example.com');
      assert.equal(await graph('nobody'), null);
      const log = await query(server, app.secretKey, '{ sends(first: 1) { nodes { requestId skipped { identifier reason } } } }');
      assert.deepEqual(log.sends.nodes, [{ requestId: sent.requestId, skipped: [{ identifier: 'nobody', reason: 'USER_UNKNOWN' }] }]);

      const { id } = page.data[0];
      const read = await client.inAppInbox.markNotificationAsRead(id);
      assert.ok(read.data.clickedAt && !read.data.seenAt);
      await eventually('the mark', () => events.some((e) => e.changed.some((n) => n.readAt && !n.seenAt)));
      assert.deepEqual((await graph('jane@example.com')).inbox.counters, { total: 1, unseen: 0, unread: 0 });
      await client.inAppInbox.markNotificationAsUnRead(id);
      assert.deepEqual((await graph('jane@example.com')).inbox.counters, { total: 1, unseen: 1, unread: 1 });
      await query(server, app.secretKey, 'mutation ($id: ID!) { markNotifications(input: {user: "jane@example.com", ids: [$id], as: READ}) { counters { unread } userErrors { message } } }', { id: (await ids())[0] });
      assert.equal((await client.inAppInbox.fetch('jane@example.com')).unreadCount, 0, 'what GraphQL marked is not seen');
      assert.equal((await client.inAppInbox.markNotificationAsUnseen(id)).data.seenAt, null);
      assert.equal((await own('jane@example.com', 'PUT', `/notifications/${id}/state`, { state: 'state_2', data: { comment: 'fine' } })).body.state, 'state_2');
      const done = await query(server, app.secretKey, '{ notifications(first: 20) { nodes { number state interactions { state data } } } }');
      assert.deepEqual(done.notifications.nodes.find((n) => n.number === String(id)), { number: String(id), state: 'state_2', interactions: [{ state: 'state_2', data: { comment: 'fine' } }] });
      assert.equal((await client.inAppInbox.deleteNotification(id)).status, 200);
      assert.equal((await refused(() => client.inAppInbox.deleteNotification(id))).status, 404);
      await sockets.dispose();
    });

    const ids = () =>
      query(server, app.secretKey, '{ user(identifier: "jane@example.com") { inbox(first: 20) { nodes { id } } } }').then((d) => d.user.inbox.nodes.map((n) => n.id));

    test('a send can be limited to channels, scheduled, and repeated without harm', async () => {
      await client.send({ notification: { title: 'By mail' }, sendTo: { recipients: ['carl'] }, override: { channels: ['email'] } });
      await client.send({ notification: { title: 'Later' }, sendTo: { recipients: ['carl'] }, sendAt: new Date(Date.now() + 1000).toISOString() });
      const { total } = (await graph('carl')).inbox.counters;
      assert.equal(total, 1, 'only the first one is there');
      await eventually('the scheduled send', async () => (await graph('carl')).inbox.nodes[0].title === 'Later');
      assert.equal((await graph('carl')).inbox.counters.total, 2);
    });

    test('categories', async () => {
      const made = await client.createCategory('offers', 'Offers');
      assert.equal(made.status, 200);
      assert.equal(typeof made.data.id, 'number');
      assert.equal((await client.createCategory('offers', 'Offers')).data.id, made.data.id);
      assert.equal((await client.deleteCategory(made.data.id)).status, 200);
      assert.equal((await refused(() => client.deleteCategory(made.data.id))).status, 404);
    });

    test('topics', async () => {
      const topic = await client.topics.create('Big News');
      assert.deepEqual({ ...topic, id: 0 }, { id: 0, name: 'Big News', identifier: 'big-news' });
      assert.equal((await client.topics.update(topic.id, 'Bigger News')).name, 'Bigger News');
      assert.deepEqual((await client.topics.subscribeUser(topic.id, [{ identifier: 'jane@example.com', channels: ['inApp', 'push'] }, { identifier: 'nobody', channels: [] }])).notFound, ['nobody']);
      await client.topics.updateChannel('jane@example.com', topic.id, ['inApp', 'email']);
      assert.deepEqual(await client.topics.listSubscriptionsOfUser('jane@example.com'), [{ topic: { id: topic.id, name: 'Bigger News', identifier: 'big-news' }, channels: ['inApp', 'email'] }]);
      await client.send({ notification: { title: 'To the topic' }, sendTo: { topics: ['big-news'] } });
      await eventually('the send to the topic', async () => (await graph('jane@example.com')).inbox.nodes[0]?.title === 'To the topic');
      await client.topics.unsubscribeUser(topic.id, ['jane@example.com']);
      assert.deepEqual(await client.topics.listSubscriptionsOfUser('jane@example.com'), []);
      await client.topics.delete(topic.id);
      assert.equal((await refused(() => client.topics.delete(topic.id))).status, 404);
    });

    test('there are no workflows, and it says so', async () => {
      const answer = await refused(() => client.workflows.cancelRun('welcome', { cancellationKey: 'k' }));
      assert.equal(answer.status, 404);
      assert.match(answer.data.message, /no such workflow/);
    });

    test('preferences hold for sends', async () => {
      const category = (await client.createCategory('noise', 'Noise')).data;
      const set = await own('jane@example.com', 'PATCH', '/preferences', { preference: [{ categoryId: category.id, channels: [{ channel: 'inApp', enabled: false }] }] });
      assert.equal(set.status, 200);
      const before = (await graph('jane@example.com')).inbox.counters.total;
      await client.send({ notification: { title: 'Noise', category: 'noise' }, sendTo: { recipients: ['jane@example.com'] } });
      assert.equal((await graph('jane@example.com')).inbox.counters.total, before);
      const chosen = (await own('jane@example.com', 'GET', '/preferences')).body;
      assert.deepEqual(chosen.map((p) => [p.category.identifier, p.channelPreferences]), [['noise', [{ channel: 'inApp', enabled: false }]]]);
    });
  });
}
