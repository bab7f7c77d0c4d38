// More of the vendor's inboxes, unmodified, in a real browser on a site of
// another origin: the hooks of @engagespot/react-component 3.0.1, and
// @engagespot/client 1.1.9. Screenshots go to $SCREENSHOTS, or to the temporary
// folder.
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { launch } from '../lib/browser.mjs';
import { backEnd } from '../lib/engagespot.mjs';
import { functionsOf } from '../lib/members.mjs';
import { eventually, setups } from '../lib/server.mjs';
import { open, startSite } from '../lib/site.mjs';
import { world } from '../lib/world.mjs';

const screenshots = process.env.SCREENSHOTS ?? os.tmpdir();

const begin = `
  import { createRoot } from 'react-dom/client';
  const q = new URLSearchParams(location.search);
  const options = { apiKey: q.get('key'), userId: q.get('user') };
`;
const old = '@engagespot/client/node_modules';
const pages = {
  // All that the package exports, in use.
  '/hooks': `${begin} import * as all from '@engagespot/react-component';
    const { EngagespotProvider, EngagespotCore, createFilteredFeed } = all;
    const useOrders = createFilteredFeed({ category: 'orders', key: 'orders' });
    window.heard = [];
    function Page() {
      window.hooks = {
        useFeed: all.useFeed(), useActions: all.useActions(), useUnseenCount: all.useUnseenCount(), useErrors: all.useErrors(),
        useHideBranding: all.useHideBranding(), useOptions: all.useOptions(), usePreferences: all.usePreferences(), useWebPush: all.useWebPush(),
        createFilteredFeed: useOrders(), useEvent: all.useEvent('notificationReceive', (e) => window.heard.push(e.notification.title)),
        EngagespotProvider, EngagespotCore, Engagespot: all.Engagespot, _internals: all._internals,
      };
      return <><p>{window.hooks.useFeed.notifications.map((n) => n.title).join(', ')}</p><EngagespotCore /></>;
    }
    createRoot(document.getElementById('app')).render(<EngagespotProvider {...options} baseUrl={q.get('base') + '/'}><Page /></EngagespotProvider>);`,
  '/client': {
    contents: `import { render } from '@engagespot/client';
      const q = new URLSearchParams(location.search);
      render('#app', { apiKey: q.get('key'), userId: q.get('user'), baseURL: q.get('base') });`,
    alias: { react: `${old}/react`, 'react-dom': `${old}/react-dom` }, // it is of React 17, which it brings
  },
};

const componentFunctions = [...new Set([...functionsOf('@engagespot/react-component/dist/index.d.ts'), ...functionsOf('@engagespot/react-hooks/dist/index.d.ts')])].sort();

for (const setup of setups) {
  describe(`Engagespot's hooks and older inbox with ${setup} storage`, () => {
    let w, app, site, browser;
    before(async () => {
      await mkdir(screenshots, { recursive: true });
      w = await world(setup, { app: { userAuth: 'open' } });
      app = backEnd(w);
      site = await startSite(pages, `importScripts('${w.server.http}/engagespot/worker.js');`);
      browser = await launch();
      await app.call('POST', '/categories', { identifier: 'orders', name: 'Orders' });
      for (const user of ['grace', 'joan']) await app.call('PUT', `/users/${user}`, { email: `${user}@example.com` });
    });
    after(async () => {
      await browser?.close();
      await site?.stop();
      await w?.end();
    });

    const at = (page, user) => `${page}?${new URLSearchParams({ key: w.app.apiKey, user, base: w.server.http })}`;
    const shoot = (page, name) => page.screenshot({ path: path.join(screenshots, `engagespot-${setup}-${name}.png`) });
    const bell = (page) => page.getByRole('button', { name: 'Notifications', exact: true });
    const item = (page, title) => page.getByText(title, { exact: true });
    const badge = async (page, want) => {
      let last;
      await eventually(`the badge to be ${want}`, async () => (last = (await bell(page).innerText()).trim()) === want).catch((err) => {
        throw new Error(`${err.message}; it is ${last}`);
      });
    };
    /** Opens the panel, and puts off the question about web pushes. */
    const openPanel = async (page) => {
      await bell(page).click();
      await page.getByText('Maybe later').click();
      await page.getByText('Maybe later').waitFor({ state: 'detached' });
    };
    const menu = async (page, name) => {
      await page.getByLabel('More').first().click();
      await page.locator(`[data-name="${name}"]`).first().click();
    };
    const clicked = async (user) => (await app.list(user, '&limit=100')).data.filter((n) => n.clickedAt).map((n) => n.title);

    test('react-component 3.0.1: every hook', async () => {
      await app.send('joan', 'one', { category: 'orders', blocks: [{ id: 'yes', type: 'button', text: 'Yes', variant: 'primary' }] });
      await app.send('joan', 'two');
      const { page, strangers, complaints } = await open(browser, site, at('/hooks', 'joan'), w.server);
      const run = (f, arg) => page.evaluate(f, arg);
      await page.getByText('two, one', { exact: true }).waitFor();
      assert.deepEqual(await run(() => Object.keys(hooks).sort()), componentFunctions, 'not all that the package exports is used');
      await eventually('the filtered feed', () => run(() => hooks.createFilteredFeed.notifications.map((n) => n.title).join() === 'one'));
      await eventually('two unseen', () => run(() => hooks.useUnseenCount === 2));
      await eventually('no branding', () => run(() => hooks.useHideBranding === true)); // it comes with the app, beside the list
      await eventually('the options', () => run(() => hooks.useOptions.userId === 'joan'));
      await eventually('the preferences', () => run(() => hooks.usePreferences.preferences.categories?.[0].identifier === 'orders'));

      await app.send('joan', 'three', { category: 'orders' });
      await page.getByText('three, two, one', { exact: true }).waitFor();
      await eventually('three to be heard of, once', () => run(() => heard.join() === 'three'));
      const [three, two, one] = await run(() => hooks.useFeed.notifications.map((n) => n.id));
      await run((id) => hooks.useActions.markAsRead(id), two);
      await run((id) => hooks.useActions.changeState({ id, state: 'accepted' }), one);
      await run(() => hooks.useActions.markAsSeen({ pageNo: 1, limit: 15 }));
      await run((id) => hooks.useActions.deleteNotification(id), three);
      await eventually('it all', async () => {
        const { unreadCount, data } = await app.list('joan');
        return unreadCount === 0 && data.map((n) => `${n.title} ${n.state} ${!!n.clickedAt}`).join() === 'two clicked true,one accepted false';
      });
      await run(() => hooks.useActions.markAllAsRead());
      await run(() => hooks.useActions.deleteAllNotifications());
      await run(() => (hooks.useFeed.loadMore(), hooks.useFeed.refresh()));
      await eventually('an empty inbox', async () => (await app.list('joan')).pagination.totalCount === 0);
      assert.deepEqual(strangers, []);
      assert.deepEqual(complaints, []);
    });

    test('client 1.1.9: badge, list, live, mark all, delete all', async () => {
      assert.deepEqual(functionsOf('@engagespot/client/dist/index.d.ts'), ['render']);
      for (let i = 1; i <= 3; i++) await app.send('grace', `Order ${i}`, { category: 'orders' });
      const { page, strangers } = await open(browser, site, at('/client', 'grace'), w.server);
      await badge(page, '3');
      await openPanel(page);
      await item(page, 'Order 3').waitFor();
      await app.send('grace', 'It is live');
      await item(page, 'It is live').waitFor();
      await page.getByText('About It is live.').waitFor();
      await shoot(page, 'client-1');
      await menu(page, 'Mark All As Read');
      await eventually('all to be read', async () => (await clicked('grace')).length === 4);
      await menu(page, 'Delete All');
      await eventually('all to be deleted', async () => (await app.list('grace')).pagination.totalCount === 0);
      await item(page, 'Order 3').waitFor({ state: 'detached' });
      // Styles that this version takes from elsewhere; it does without.
      assert.deepEqual([...new Set(strangers.map((url) => new URL(url).host))].filter((h) => !['fonts.googleapis.com', 'cdn.jsdelivr.net'].includes(h)), []);
    });
  });
}
