// The vendor's own browser packages, unmodified, in a real browser on a site of
// another origin: @engagespot/core 3.0.1 and 1.3.8. Every method that their
// type definitions have is called.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { launch } from '../lib/browser.mjs';
import { backEnd, spy } from '../lib/engagespot.mjs';
import { methodsOf } from '../lib/members.mjs';
import { eventually, setups } from '../lib/server.mjs';
import { open, startSite } from '../lib/site.mjs';
import { world } from '../lib/world.mjs';

const core3 = methodsOf('@engagespot/core/dist/index.d.ts', 'createInstance');
const core1 = {
  client: methodsOf('engagespot-core-1/dist/index.d.ts', 'default'),
  item: methodsOf('engagespot-core-1/dist/index.d.ts', 'Notification'),
  list: methodsOf('engagespot-core-1/dist/index.d.ts', 'NotificationList'),
};

const pages = {
  '/core3': `import { createInstance } from '@engagespot/core'; ${spy} window.createInstance = createInstance;`,
  '/core1': `import Engagespot from 'engagespot-core-1'; ${spy} window.Engagespot = Engagespot;`,
};

/** The browser's push service is out of reach here: a page gets a subscription that looks like its own. */
const pushService = () => {
  PushManager.prototype.subscribe = async function ({ applicationServerKey }) {
    window.subscribedWith = applicationServerKey;
    const subscription = { endpoint: 'https://push.example.com/1', expirationTime: null, keys: { p256dh: 'BNcRdreALRFXTkOOUHK1EtK2wtaz5Ry4YfYCA_0QTpQtUbVlUls0VJXg7A8u-Ts1XbjhazAkj7I99e8QcYP7DkM', auth: 'tBHItJI5svbpez7KI4CCXg' } };
    return { ...subscription, toJSON: () => subscription, unsubscribe: async () => true };
  };
};

for (const setup of setups) {
  describe(`Engagespot's core packages with ${setup} storage`, () => {
    let w, app, site, browser;
    before(async () => {
      w = await world(setup, { app: { userAuth: 'open' } });
      app = backEnd(w);
      site = await startSite(pages, `importScripts('${w.server.http}/engagespot/worker.js');`);
      browser = await launch();
      await app.call('POST', '/categories', { identifier: 'orders', name: 'Orders' });
    });
    after(async () => {
      await browser?.close();
      await site?.stop();
      await w?.end();
    });

    /** Opens a page that may show notifications. */
    async function visit(at) {
      const visitor = await open(browser, site, at, w.server);
      await visitor.context.grantPermissions(['notifications'], { origin: site.origin });
      await visitor.page.evaluate(pushService);
      return visitor;
    }

    /** What a page heard since the last time, once it is all of the names, in any order. */
    async function hears(page, list, ...names) {
      let heard = [];
      try {
        await eventually(`${list} to hear ${names}`, async () => {
          heard = await page.evaluate((l) => window[l], list);
          return heard.length >= names.length;
        });
      } catch (err) {
        throw new Error(`${err.message}; heard ${JSON.stringify(heard)}`);
      }
      assert.deepEqual(heard.map(([name]) => name).sort(), names.sort(), JSON.stringify(heard));
      await page.evaluate((l) => window[l].splice(0), list);
      return heard.map(([, value]) => value);
    }

    test('surprise 27: core 3.0.1 cannot be imported by plain Node, and works once it is bundled', async () => {
      await assert.rejects(async () => (await import('@engagespot/core')).createInstance({ apiKey: w.apiKey, userId: 'ada' }));
      const { page } = await visit('/core3');
      assert.equal(await page.evaluate(() => typeof createInstance), 'function');
    });

    test('core 3.0.1: every method, and every change live on every device', async () => {
      const { page, strangers, complaints } = await visit('/core3');
      await page.evaluate(
        async ({ baseUrl, apiKey, methods }) => {
          const begin = async (name, userId) => {
            const instance = createInstance({ apiKey, userId, baseUrl, disableAutoStart: true, allowNonHttpsWebPush: true });
            if (name === 'ada') spy(instance, methods);
            window[name] = instance;
            window[name + 'Heard'] = [];
            for (const [event, source] of Object.entries(instance.events)) source.subscribe((value) => window[name + 'Heard'].push([event, value ?? null]));
            await instance.app.connect();
            const socket = await instance.realTime.connect();
            await new Promise((done, failed) => {
              socket.on('connect', done);
              socket.on('connect_error', failed);
            });
          };
          await begin('ada', 'ada');
          await begin('phone', 'ada');
          await begin('bob', 'bob');
        },
        { baseUrl: w.server.http + '/', apiKey: w.app.apiKey, methods: core3 },
      );
      /** Calls a method and returns what it gives as data. */
      const call = (path, ...args) =>
        page.evaluate(
          async ({ path, args }) => {
            const [group, name] = path.split('.');
            const out = await window.ada[group][name](...args);
            if (out?.error) throw new Error(path + ': ' + JSON.stringify(out.error));
            return out?.response ? (out.data ?? null) : (out ?? null);
          },
          { path, args },
        );
      const both = async (...names) => (await Promise.all([hears(page, 'adaHeard', ...names), hears(page, 'phoneHeard', ...names)]))[0];

      const info = await call('app.getInfo');
      assert.equal(info.unreadCount, 0);
      assert.match(info.app.publicKey, /^[\w-]{87}$/);

      for (const title of ['first', 'second', 'third']) await app.send('ada', title, { category: 'orders', data: { title } });
      const [{ notification }] = await both('notificationReceive', 'notificationReceive', 'notificationReceive');
      const { id, createdAt, category, ...rest } = notification;
      assert.equal(typeof id, 'number');
      assert.match(createdAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
      assert.deepEqual([category.identifier, category.name], ['orders', 'Orders']);
      assert.deepEqual(
        { ...rest, created_at: createdAt },
        {
          title: 'first', message: 'About first.', description: 'About first.', icon: null, url: null, data: { title: 'first' },
          blocks: [], seenAt: null, clickedAt: null, state: 'unread', created_at: createdAt,
        },
      );

      const list = await call('notification.getByPage', { pageNo: 1, limit: 2 });
      assert.deepEqual(list.data.map((n) => n.title), ['third', 'second']);
      assert.deepEqual([list.unreadCount, list.pagination.totalCount], [3, 3]);
      const [third, second] = list.data;

      assert.equal((await call('notification.getById', String(third.id))).title, 'third');
      assert.deepEqual(await both('notificationSeen'), [{ unseenCount: 2 }]);

      assert.ok((await call('notification.markAsRead', String(second.id))).clickedAt);
      assert.deepEqual(await both('notificationRead'), [{ id: second.id }]);

      const changed = await call('notification.changeState', { id: String(third.id), state: 'accepted' });
      assert.deepEqual([changed.id, changed.state, changed.title], [third.id, 'accepted', 'third']);
      const [{ notification: interacted }] = await both('notificationStateChange');
      assert.deepEqual([interacted.id, interacted.state, interacted.title], [third.id, 'accepted', 'third']);

      await call('notification.markAllAsSeen', { limit: 15, page: 1 });
      const counts = await eventually('all seen', async () => {
        const heard = await page.evaluate(() => window.phoneHeard);
        return heard.length && heard;
      });
      assert.deepEqual(counts.at(-1), ['notificationSeen', { unseenCount: 0 }]);
      await page.evaluate(() => [window.adaHeard, window.phoneHeard].forEach((l) => l.splice(0)));

      await call('notification.markAllAsRead');
      await both('notificationReadAll');

      await call('notification.remove', String(third.id));
      assert.deepEqual(await both('notificationDelete'), [{ id: third.id }]);

      await call('notification.removeAll');
      await both('notificationDeleteAll');
      assert.equal((await call('notification.getByPage')).pagination.totalCount, 0);
      assert.deepEqual(await page.evaluate(() => ada.notification.createNotification({ id: 7 })), { id: 7 });

      const [orders] = await call('preferences.getCategories');
      assert.deepEqual([orders.identifier, orders.hideInPreferenceManager], ['orders', false]);
      assert.equal((await call('preferences.getSupportedChannels')).inApp.id, 'inApp');
      await call('preferences.setPreferences', [{ categoryId: orders.id, channels: [{ channel: 'inApp', enabled: false }] }]);
      const [preference] = await call('preferences.getPreferences');
      assert.deepEqual([preference.category.identifier, preference.channelPreferences], ['orders', [{ channel: 'inApp', enabled: false }]]);
      await app.send('ada', 'unwanted', { category: 'orders' });
      assert.equal(await call('preferences.setProfileAttributes', { email: 'ada@example.com' }), true);

      assert.equal(await call('webPush.isSupported'), true);
      assert.equal(await call('webPush.getRegistrationState'), 'granted');
      await call('webPush.connect');
      await call('webPush.subscribe');
      if (info.app.enableWebPush) assert.equal(await page.evaluate(() => window.subscribedWith), info.app.publicKey);

      // By another door: GraphQL.
      await app.send('ada', 'by GraphQL');
      const [{ notification: item }] = await both('notificationReceive');
      await w.query(w.app.secretKey, `mutation { markAllNotifications(input: {user: "ada", as: READ}) { affected userErrors { message } } }`);
      await both('notificationReadAll');
      assert.equal(item.title, 'by GraphQL', 'a send to a switched-off category arrived');

      await call('realTime.disconnect');
      await app.send('ada', 'too late');
      await hears(page, 'phoneHeard', 'notificationReceive');
      assert.deepEqual(await page.evaluate(() => window.adaHeard), [], 'a socket that was disconnected heard something');
      assert.deepEqual(await page.evaluate(() => window.bobHeard), [], 'another user heard something');
      if (info.app.enableWebPush) await call('webPush.clearWebPushSubscription');
      else await page.evaluate(() => void ada.webPush.clearWebPushSubscription()); // it waits for a worker that there is no reason for
      assert.deepEqual([...new Set(await page.evaluate(() => window.calls))].sort(), core3, 'not every method was called');
      assert.deepEqual(strangers, []);
      assert.deepEqual(complaints, []);
    });

    test('core 1.3.8: every method, and every change live on every device', async () => {
      const { page, strangers, complaints } = await visit('/core1');
      await page.evaluate(
        async ({ baseURL, apiKey, methods }) => {
          const begin = async (name, userId) => {
            const client = new Engagespot(apiKey, { userId, baseURL, enableNonHttpsWebPush: true });
            if (name === 'grace') {
              spy(client, methods.client, 'client.');
              spy(Object.getPrototypeOf(client.getNotificationList()), methods.list, 'list.');
            }
            window[name] = client;
            const heard = (window[name + 'Heard'] = []);
            window[name + 'Handlers'] = {};
            for (const event of methods.client.filter((m) => m.startsWith('on'))) {
              const handler = (value) => heard.push([event, value?.id !== undefined ? { id: value.id, title: value.title, message: value.message, createdAt: value.createdAt, state: value.state } : (value ?? null)]);
              window[name + 'Handlers'][event] = handler;
              client[event](handler);
            }
            await client.init();
            if (!(await client.isReady())) throw new Error('not ready');
            await new Promise((done) => (client.rtmClient.connected ? done() : client.rtmClient.on('connect', done)));
          };
          await begin('grace', 'grace');
          await begin('phone', 'grace');
          await begin('bob', 'bob');
        },
        { baseURL: w.server.http, apiKey: w.app.apiKey, methods: core1 },
      );
      const both = async (...names) => (await Promise.all([hears(page, 'graceHeard', ...names), hears(page, 'phoneHeard', ...names)]))[0];
      const run = (f, arg) => page.evaluate(f, arg);

      for (const title of ['first', 'second', 'third', 'fourth']) await app.send('grace', title, { category: 'orders' });
      const received = await both(...Array(4).fill('onNotificationReceive'));
      assert.deepEqual(received.map((n) => [n.title, n.message, typeof n.id]), ['first', 'second', 'third', 'fourth'].map((t) => [t, `About ${t}.`, 'number']));
      assert.ok(received[0].createdAt, 'created_at was not read');
      const [first, second, third, fourth] = received.map((n) => n.id);

      const list = await run(async (methods) => {
        const l = await grace.getNotificationList().fetch(1, 3);
        window.Item = l.data[0].constructor; // declared as an export of the package, and none
        spy(Item.prototype, methods, 'item.');
        return { unread: l.unreadCount, total: l.totalCount, pages: l.totalPages, titles: l.data.map((n) => n.title) };
      }, core1.item);
      assert.deepEqual(list, { unread: 4, total: 4, pages: 2, titles: ['fourth', 'third', 'second'] });

      await run((id) => grace.markAsRead(id), first);
      assert.deepEqual(await both('onNotificationClick', 'onNotificationRead'), [first, first]);
      await run((id) => new Item(grace, { id }).markAsRead(), first); // it is already, so nothing is told
      await run((id) => new Item(grace, { id }).markAsClicked(), second);
      await both('onNotificationClick', 'onNotificationRead');
      await run((id) => new Item(grace, { id }).fetch(), third);
      assert.deepEqual(await both('onNotificationSee'), [third]);
      await run((id) => new Item(grace, { id }).markAsUnSeen(), third);
      await run((id) => new Item(grace, { id }).markAsUnRead(), first);
      assert.equal((await app.list('grace')).unreadCount, 3);
      const state = await run((id) => grace.changeNotificationState(id, { state: 'accepted', data: { rating: '5' } }), fourth);
      assert.equal(state.state, 'accepted');
      const [event] = await both('onNotificationStateChange');
      assert.ok(event === fourth || event.id === fourth, JSON.stringify(event));
      await run((id) => new Item(grace, { id, data: { state: 'done' } }).changeState(), fourth);
      await both('onNotificationStateChange');

      await run(() => grace.markAllAsSeen(1, 15));
      await eventually('all seen', async () => (await run(() => phoneHeard.some(([name]) => name === 'onMarkAllNotificationsAsSeen'))));
      assert.equal((await app.list('grace')).unreadCount, 0);
      await run(() => (grace.getNotificationList().markAllAsSeen(1, 15), [graceHeard, phoneHeard].forEach((l) => l.splice(0))));
      await run(() => grace.getNotificationList().markAllAsRead());
      await both('onMarkAllNotificationsAsRead');
      await run(() => grace.markAllAsRead());
      await run((id) => grace.deleteNotification(id), first);
      assert.deepEqual(await both('onNotificationDelete'), [first]);
      await run((id) => new Item(grace, { id }).delete(), second);
      await both('onNotificationDelete');
      await run(() => grace.getNotificationList().deleteAllNotifications());
      await both('onAllNotificationsDelete');
      await run(() => grace.deleteAllNotifications());

      const categories = await run(() => grace.getCategories());
      assert.equal(categories[0].identifier, 'orders');
      await run((id) => grace.setPreferences([{ categoryId: String(id), channels: [{ channel: 'email', enabled: false }] }]), categories[0].id);
      assert.deepEqual((await run(() => grace.getPreferences()))[0].channelPreferences, [{ channel: 'email', enabled: false }]);
      await run(() => grace.setProfileAttributes({ firstName: 'Grace' }));

      // The old real-time service cannot be had: its token request is refused in JSON, and the rest works on.
      const refused = await run(() => grace._createTokenRequest().then((v) => ({ v }), (err) => ({ err: String(err?.message ?? err) })));
      assert.ok(refused.err, JSON.stringify(refused));
      await run(() => {
        grace.rtmClient.disconnect();
        grace.realtimeConnect(); // with rtmService "self", the same as realtimeConnectUsingRtm
        return new Promise((done) => grace.rtmClient.on('connect', done));
      });
      await run(() => {
        grace.handleIncomingRealtimeMessage({ name: 'NOTIFICATION_SEEN', data: { id: 1, notification: { id: 1 } } });
        graceHeard.splice(0);
        grace._log('nothing');
        grace._resolveInstanceState();
      });
      const web = await run(async () => ({ supported: grace.isWebPushSupported(), key: grace.publicKey, device: grace.getDeviceId() }));
      assert.equal(web.supported, true);
      assert.match(web.key, /^[\w-]{87}$/);
      await run(async () => {
        grace.serviceWorkerRegistration = await grace.getServiceWorkerRegistration();
        grace.listenForWebPushPermissionChanges();
        await grace.getWebPushRegistrationState();
        await grace.askWebPushPermission();
        await grace.attachPushSubscription(await grace.getWebPushSubscription(grace.publicKey));
        grace.enableWebPush = true;
        await grace.httpsWebPushSubscribe();
        await grace.clearWebPushSubscription();
      });
      assert.equal(await run(() => window.subscribedWith && typeof window.subscribedWith), 'string');

      assert.deepEqual(await run(() => window.bobHeard), [], 'another user heard something');
      await run(() => {
        for (const [name, handler] of Object.entries(graceHandlers)) grace['clearO' + name.slice(1)]?.(handler);
        grace._clearNotificationListener('NOTIFICATION_SEEN')(() => {});
        grace.createNewDevice();
      });
      await app.send('grace', 'unheard');
      await hears(page, 'phoneHeard', 'onNotificationReceive');
      assert.deepEqual(await run(() => window.graceHeard), []);

      const all = Object.entries(core1).flatMap(([kind, names]) => names.map((n) => `${kind}.${n}`));
      assert.deepEqual([...new Set(await run(() => window.calls))].sort(), all.sort(), 'not every method was called');
      assert.deepEqual(strangers, []);
      assert.deepEqual(complaints.filter((c) => !/501|Failed to load resource/.test(c)), []);
    });
  });
}
