// Rate limits and load shedding, as a client meets them.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { identify, page } from '../lib/inbox.mjs';
import { createApp, query, setups, startServer, storage, userToken } from '../lib/server.mjs';

const post = (server, credential, text) =>
  fetch(server.graphql, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(credential && { authorization: `Bearer ${credential}` }) },
    body: JSON.stringify({ query: text }),
  });

for (const setup of setups) {
  describe(`limits on ${setup}`, () => {
    let store, app, server;
    before(async () => {
      store = await storage(setup);
      app = await createApp(store);
      server = await startServer(store, { RATE_USER: '5', MAX_CONCURRENT: '4' });
      for (const id of ['ada', 'bob']) await query(server, app.secretKey, identify, { id });
    });
    after(async () => {
      await server?.stop();
      await store?.drop();
    });

    test('a user over the rate is told when to come back, and nobody else is', async () => {
      const [ada, bob] = await Promise.all([userToken(store, 'ada'), userToken(store, 'bob')]);
      const answers = [];
      for (let i = 0; i < 30; i++) answers.push(await post(server, ada, page));
      const refused = answers.filter((r) => r.status === 429);
      assert.ok(refused.length > 10, `${refused.length} of 30 were refused`);
      assert.ok(Number(refused[0].headers.get('retry-after')) >= 1);
      const body = await refused[0].json();
      assert.equal(body.errors[0].extensions.code, 'RATE_LIMITED');
      assert.equal(body.data, undefined);
      assert.equal((await post(server, bob, page)).status, 200);
    });

    test('aliased fields count one by one', async () => {
      const token = await userToken(store, 'bob');
      const many = `{ ${Array.from({ length: 10 }, (_, i) => `a${i}: viewer { user { identifier } }`).join(' ')} }`;
      const statuses = [];
      for (let i = 0; i < 3; i++) statuses.push((await post(server, token, many)).status);
      assert.ok(statuses.includes(429), `the answers were ${statuses}`);
    });

    test('a flood is answered or told to come back, and the server stays well', async () => {
      const list = '{ users(first: 100) { nodes { identifier devices { id } preferences { category { id } } inbox(first: 20) { counters { total } } } } }';
      const answers = await Promise.all(Array.from({ length: 200 }, () => post(server, app.secretKey, list)));
      const counts = {};
      for (const r of answers) {
        counts[r.status] = (counts[r.status] ?? 0) + 1;
        if (r.status === 503) {
          assert.ok(Number(r.headers.get('retry-after')) >= 1);
          assert.equal((await r.json()).errors[0].extensions.code, 'UNAVAILABLE');
        }
      }
      assert.equal((counts[200] ?? 0) + (counts[503] ?? 0), 200, JSON.stringify(counts));
      assert.ok(counts[200] > 0);
      assert.equal((await fetch(`${server.http}/readyz`)).status, 200);
    });
  });

  describe(`rates of environments and addresses on ${setup}`, () => {
    let store, shop, other, server;
    before(async () => {
      store = await storage(setup);
      shop = await createApp(store);
      other = await createApp(store, { name: 'other' });
      server = await startServer(store, { RATE_ENVIRONMENT: '5', RATE_ADDRESS: '5' });
    });
    after(async () => {
      await server?.stop();
      await store?.drop();
    });

    const flood = async (credential) => {
      const statuses = {};
      for (let i = 0; i < 30; i++) {
        const r = await post(server, credential, credential ? '{ viewer { environment } }' : '{ __typename }');
        statuses[r.status] = (statuses[r.status] ?? 0) + 1;
        if (r.status === 429) assert.ok(Number(r.headers.get('retry-after')) >= 1);
      }
      return statuses;
    };

    test('an environment over its rate is told so, and no other one is', async () => {
      const statuses = await flood(shop.secretKey);
      assert.ok(statuses[429] > 10 && statuses[200] + statuses[429] === 30, JSON.stringify(statuses));
      assert.equal((await post(server, other.secretKey, '{ viewer { environment } }')).status, 200);
    });

    test('so is an address without a credential', async () => {
      const statuses = await flood('');
      assert.ok(statuses[429] > 10 && statuses[200] + statuses[429] === 30, JSON.stringify(statuses));
      assert.equal((await post(server, other.secretKey, '{ viewer { environment } }')).status, 200);
    });
  });
}
