// The vendor's own inbox, unmodified, in a real browser on a site of another
// origin: the bell of @engagespot/react-component 3.0.1, in two tabs. Screenshots go to $SCREENSHOTS, or to the temporary
// folder.
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { launch } from '../lib/browser.mjs';
import { backEnd } from '../lib/engagespot.mjs';
import { eventually, setups } from '../lib/server.mjs';
import { open, startSite } from '../lib/site.mjs';
import { world } from '../lib/world.mjs';

const screenshots = process.env.SCREENSHOTS ?? os.tmpdir();

const begin = `
  import { createRoot } from 'react-dom/client';
  const q = new URLSearchParams(location.search);
  const options = { apiKey: q.get('key'), userId: q.get('user') };
`;
const pages = {
  '/bell': `${begin} import { Engagespot } from '@engagespot/react-component';
    createRoot(document.getElementById('app')).render(<Engagespot {...options} baseUrl={q.get('base') + '/'} itemsPerPage={5} />);`,
};

for (const setup of setups) {
  describe(`Engagespot's bell with ${setup} storage`, () => {
    let w, app, site, browser;
    before(async () => {
      await mkdir(screenshots, { recursive: true });
      w = await world(setup, { app: { userAuth: 'open' } });
      app = backEnd(w);
      site = await startSite(pages, `importScripts('${w.server.http}/engagespot/worker.js');`);
      browser = await launch();
      await app.call('POST', '/categories', { identifier: 'orders', name: 'Orders' });
      await app.call('PUT', '/users/ada', { email: 'ada@example.com' });
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

    test('react-component 3.0.1: badge, list, page 2, live, click, delete, preferences, mark all, two tabs', async () => {
      for (let i = 1; i <= 12; i++) await app.send('ada', `Order ${i}`, { category: 'orders', ...(i === 12 && { url: `${site.origin}/bell?opened` }) });
      const visitor = await open(browser, site, at('/bell', 'ada'), w.server);
      const tab = visitor.page;
      const other = await visitor.context.newPage();
      await other.goto(site.origin + at('/bell', 'ada'));
      await badge(tab, '12');
      await badge(other, '12');
      await app.send('ada', 'Before it is opened', { category: 'orders' });
      await Promise.all([badge(tab, '13'), badge(other, '13')]);
      await tab.bringToFront(); // a tab behind another draws once a second
      await shoot(tab, 'bell');

      await openPanel(tab);
      await item(tab, 'Order 12').waitFor();
      await shoot(tab, 'list');
      assert.equal(await item(tab, 'Order 2').count(), 0, 'all pages were loaded at once');
      for (const title of ['Order 9', 'Order 4', 'Order 1']) await item(tab, title).scrollIntoViewIfNeeded();
      await item(tab, 'Order 1').waitFor();
      await shoot(tab, 'page-2');
      await eventually('all pages to be seen', async () => (await app.list('ada')).unreadCount === 0);
      await badge(other, '');

      // Without a category: the panel's tabs show a live item that has one only under a tab whose identifier is its
      // category's name, and the tab of all never. That is the package's own doing.
      await app.send('ada', 'It is live', { message: 'And <b>bold</b>' });
      await item(tab, 'It is live').waitFor({ state: 'attached' });
      await badge(other, ''); // it was seen in the tab that is open
      await other.bringToFront();
      await bell(other).click();
      await item(other, 'It is live').waitFor();
      await shoot(other, 'live');

      await tab.bringToFront();
      await item(tab, 'Order 12').click();
      await eventually('the click', async () => (await clicked('ada')).join() === 'Order 12');
      const opened = await eventually('its page', () => visitor.context.pages().find((p) => p.url().includes('opened')));
      if (opened !== tab) await opened.close();
      else {
        await tab.goBack();
        await bell(tab).click();
      }

      await other.bringToFront();
      await item(other, 'Order 11').hover();
      await other.getByLabel('More').nth(4).click(); // the panel's own, then those of the items from the top
      await other.locator('[data-name="Delete"]:visible').first().click();
      await eventually('the deletion', async () => !(await app.list('ada', '&limit=100')).data.some((n) => n.title === 'Order 11'));
      await item(other, 'Order 11').waitFor({ state: 'detached' });
      await item(tab, 'Order 11').waitFor({ state: 'detached' });

      await menu(other, 'Preferences');
      const box = other.getByLabel('In-App');
      await other.getByRole('heading', { name: 'Orders' }).click(); // which folds its channels out
      assert.ok(await box.isChecked());
      await shoot(other, 'preferences');
      await box.click();
      const chosen = async () => {
        const res = await fetch(`${w.server.http}/v3/preferences`, { headers: { 'x-engagespot-api-key': w.app.apiKey, 'x-engagespot-user-id': 'ada' } });
        return (await res.json())[0]?.channelPreferences.find((p) => p.channel === 'inApp')?.enabled;
      };
      await eventually('the choice', async () => (await chosen()) === false);
      await box.click();
      await eventually('the other choice', async () => (await chosen()) === true);

      await tab.bringToFront();
      await shoot(tab, 'deleted');
      await menu(tab, 'Mark All As Read');
      await eventually('all to be read', async () => (await clicked('ada')).length === 13);
      await shoot(tab, 'all-read');
      await menu(tab, 'Delete All');
      await eventually('all to be deleted', async () => (await app.list('ada')).pagination.totalCount === 0);
      await item(tab, 'Order 10').waitFor({ state: 'detached' });
      await item(other, 'Order 10').waitFor({ state: 'detached' });
      await shoot(tab, 'empty');
      assert.deepEqual(visitor.strangers, []);
      assert.deepEqual(visitor.complaints, []);
    });
  });
}
