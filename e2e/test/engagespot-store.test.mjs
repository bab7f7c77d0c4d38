// @engagespot/store 2.0.1, unmodified, in a real browser on a site of another
// origin: two stores of one user, which must agree with each other and with the
// server after everything that either of them can do.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { launch } from '../lib/browser.mjs';
import { backEnd, spy } from '../lib/engagespot.mjs';
import { methodsOf } from '../lib/members.mjs';
import { eventually, setups } from '../lib/server.mjs';
import { open, startSite } from '../lib/site.mjs';
import { world } from '../lib/world.mjs';

// What the store hands through of core has a suite of its own.
const methods = methodsOf('@engagespot/store/dist/index.d.ts', 'createStore').filter((m) => !m.startsWith('instance.'));

for (const setup of setups) {
  describe(`Engagespot's store with ${setup} storage`, () => {
    let w, app, site, browser;
    before(async () => {
      w = await world(setup, { app: { userAuth: 'open' } });
      app = backEnd(w);
      site = await startSite({ '/store': `import { createStore } from '@engagespot/store'; ${spy} window.createStore = createStore;` });
      browser = await launch();
    });
    after(async () => {
      await browser?.close();
      await site?.stop();
      await w?.end();
    });

    test('every method; two devices and the server agree throughout', async () => {
      const orders = await app.call('POST', '/categories', { identifier: 'orders', name: 'orders' }); // the store files live items under the name
      await app.call('PUT', '/users/ada', { email: 'ada@example.com' });
      for (let i = 1; i <= 7; i++) await app.send('ada', `n${i}`, i % 2 ? { category: 'orders' } : {});
      const { page, strangers, complaints } = await open(browser, site, '/store', w.server);
      const run = (f, arg) => page.evaluate(f, arg);
      await run(
        async ({ baseUrl, apiKey, methods }) => {
          window.begin = (name) => {
            const store = (window[name] = createStore({ apiKey, userId: 'ada', baseUrl, itemsPerPage: 5 }));
            for (const s of [store.notificationFeed.stores, store.connect.stores, store.preferences.stores, store.webpush.stores]) for (const atom of Object.values(s)) atom.subscribe?.(() => {});
            return store;
          };
          spy(begin('here'), methods);
          begin('there');
        },
        { baseUrl: w.server.http, apiKey: w.app.apiKey, methods },
      );
      /** What a store shows. */
      const shown = (name) =>
        run((name) => {
          const { $notifications, $hasMore } = window[name].notificationFeed.stores;
          return {
            titles: ($notifications.get() ?? []).map((n) => n.title),
            clicked: ($notifications.get() ?? []).filter((n) => n.clickedAt).map((n) => n.title),
            unseen: window[name].connect.stores.$unreadCount.get(),
            more: $hasMore.get(),
          };
        }, name);
      const agree = async (what, check, ...names) => {
        let last;
        try {
          await eventually(what, async () => (last = await Promise.all((names.length ? names : ['here', 'there']).map(shown))).every(check));
        } catch (err) {
          throw new Error(`${err.message}: ${JSON.stringify(last)}`, { cause: err });
        }
      };
      const id = (title) => run((t) => here.notificationFeed.stores.$notifications.get().find((n) => n.title === t).id, title);
      const newest = ['n7', 'n6', 'n5', 'n4', 'n3'];

      await agree('the first page', (s) => s.titles.join() === newest.join() && s.unseen === 7 && s.more);
      await run(() => here.notificationFeed.actions.loadMore());
      await agree('the second page', (s) => s.titles.length === 7 && !s.more, 'here');

      // A feed of one category, as a tab of the inbox has it.
      await run(() => {
        window.tab = here.notificationFeed.createFeedService({ category: 'orders', key: 'orders' });
        for (const atom of Object.values(tab.stores)) atom.subscribe(() => {});
      });
      const tab = () => run(() => tab.stores.$notifications.get().map((n) => n.title));
      await eventually('the tab', async () => (await tab()).join() === 'n7,n5,n3,n1');

      await app.send('ada', 'live', { category: 'orders' });
      await agree('a live item', (s) => s.titles[0] === 'live' && s.unseen === 8);
      await eventually('the live item in its tab', async () => (await tab())[0] === 'live');

      const live = await id('live');
      await run((id) => here.actions.markAsSeen({ pageNo: 1, limit: 5 }), live);
      await agree('a page seen', (s) => s.unseen === 3);
      assert.equal((await app.list('ada')).unreadCount, 3);
      await run((id) => here.actions.markAsRead(id), live);
      await agree('an item read', (s) => s.clicked.join() === 'live');
      await run((id) => here.actions.changeState({ id: String(id), state: 'accepted' }), live);
      await eventually('the state in both', () =>
        run((id) => [here, there].every((s) => s.notificationFeed.stores.$notifications.get().find((n) => n.id === id).state === 'accepted'), live),
      );
      await run((id) => here.actions.deleteNotification(id), live);
      await agree('an item deleted', (s) => !s.titles.includes('live'));
      await run(() => here.actions.markAllAsRead());
      await agree('all read', (s) => s.clicked.length === s.titles.length && s.titles.length > 0);
      assert.ok((await app.list('ada')).data.every((n) => n.clickedAt));
      await run(() => here.notificationFeed.actions.refresh());
      await agree('a refresh', (s) => s.titles.join() === newest.join(), 'here'); // out of the store's own cache

      await eventually('the preferences', () => run(() => here.preferences.stores.$preferences.get()?.categories?.length === 1));
      await run((id) => here.preferences.actions.setPreferences([{ categoryId: id, channels: [{ channel: 'inApp', enabled: false }] }]), orders.id);
      await run(() => here.preferences.actions.setProfileAttributes({ firstName: 'Ada' }));
      await app.send('ada', 'unwanted', { category: 'orders' });
      await app.send('ada', 'wanted');
      await agree('only what is wanted', (s) => s.titles[0] === 'wanted' && !s.titles.includes('unwanted'));
      await eventually('the profile', async () => {
        const { user } = await w.query(w.app.secretKey, `{ user(identifier: "ada") { profile { firstName } } }`);
        return user.profile.firstName === 'Ada';
      });

      await run(() => here.actions.deleteAllNotifications());
      await agree('all deleted', (s) => s.titles.length === 0);
      assert.equal((await app.list('ada')).pagination.totalCount, 0);

      await run(() => {
        here.notificationFeed.updateStores((stores) => stores.$notifications.set([]), { fireAll: true });
        here.webpush.actions.isSupported();
        void here.webpush.actions.subscribe();
        void here.webpush.actions.clearWebPushSubscription();
      });
      assert.equal(await run(() => here.connect.stores.$hideBranding.get()), true);
      assert.equal(await run(() => here.connect.stores.$errors.get()), null);
      assert.deepEqual([...new Set(await run(() => window.calls))].sort(), methods, 'not every method was called');
      assert.deepEqual(strangers, []);
      assert.deepEqual(complaints, []);
    });
  });
}
