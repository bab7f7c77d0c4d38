// The playground in a real Chromium: query, send, and a subscription that shows
// what was sent. Screenshots go to $SCREENSHOTS, or to the temporary folder.
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { launch, visit } from '../lib/browser.mjs';
import { eventually, startServer, storage } from '../lib/server.mjs';
import { faults, world } from '../lib/world.mjs';

const screenshots = process.env.SCREENSHOTS ?? os.tmpdir();

describe('the playground of an embedded server', () => {
  let store, server, browser;
  before(async () => {
    await mkdir(screenshots, { recursive: true });
    store = await storage('embedded');
    server = await startServer(store, { DEMO: 'true' });
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
    await store?.drop();
    assert.deepEqual(faults(server?.log() ?? ''), []);
  });

  const shoot = (page, name) => page.screenshot({ path: path.join(screenshots, `playground-${name}.png`) });
  const who = (page, text) => page.waitForFunction((t) => document.querySelector('#who')?.value === t, text);
  const shown = (page) => page.locator('.result-window').innerText();

  /** Chooses an example's tab and runs it. */
  async function run(page, tab) {
    await page.getByRole('tab', { name: tab }).click();
    // GraphiQL takes a moment to see which operation a tab has.
    await page.waitForFunction((t) => localStorage.getItem('graphiql:operationName') === t, tab);
    await page.getByRole('button', { name: /Execute/ }).click();
  }

  /** Waits until the answer has all of the texts. */
  async function answer(page, ...texts) {
    let text;
    try {
      await eventually('the answer', async () => {
        text = await shown(page);
        return texts.every((t) => text.includes(t));
      });
    } catch (err) {
      throw new Error(`the answer has not all of ${texts.join(', ')}:\n${text}`, { cause: err });
    }
  }

  /** The page asked nobody else for anything, and nothing went wrong in it. */
  function alone({ seen }) {
    const host = new URL(server.http).host;
    assert.deepEqual([...seen.requests, ...seen.sockets].filter((url) => new URL(url).host !== host && !/^(data|blob):/.test(url)), []);
    assert.ok(seen.requests.length > 5);
    assert.deepEqual(seen.complaints, []);
  }

  test("shows a send in another window's live inbox, and marks it there", async () => {
    const ada = await visit(browser, server.http);
    await who(ada.page, 'ada of demo, test');
    await run(ada.page, 'Live');
    await answer(ada.page, '"reset": "FIRST"', '"total": 0');
    await shoot(ada.page, 'live-before');

    const backEnd = await visit(browser, server.http);
    await who(backEnd.page, 'ada of demo, test');
    await backEnd.page.getByLabel('Act as').selectOption({ label: 'Demo back end (secret key)' });
    await who(backEnd.page, 'back end of demo, test');
    await run(backEnd.page, 'Send');
    await answer(backEnd.page, '"status": "SENT"', '"reason": "ENV_DEFAULT"', '"userErrors": []');
    await shoot(backEnd.page, 'send');

    await answer(ada.page, '"reset": null', '"title": "Your order is on its way"', '"unread": 1');
    await shoot(ada.page, 'live-after');

    const reader = await visit(browser, server.http, { colorScheme: 'dark' });
    await who(reader.page, 'ada of demo, test');
    await run(reader.page, 'Inbox');
    await answer(reader.page, '"identifier": "ada"', '"Your order is on its way"', '"readAt": null');
    await run(reader.page, 'ReadAll');
    await answer(reader.page, '"affected": 1', '"unread": 0');
    await answer(ada.page, '"as": "READ"', '"unread": 0');
    await run(reader.page, 'Why');
    await answer(reader.page, '"allowed": true', '"reason": "ENV_DEFAULT"', '"ladder"');
    await shoot(reader.page, 'dark');

    assert.deepEqual(ada.seen.sockets, [server.ws], 'the subscription did not run over a WebSocket');
    for (const page of [ada, backEnd, reader]) alone(page);
  });

  test('has the schema at hand, with its descriptions', async () => {
    const visitor = await visit(browser, server.http);
    await who(visitor.page, 'ada of demo, test');
    await visitor.page.getByRole('button', { name: /Documentation Explorer/ }).click();
    const docs = visitor.page.locator('.graphiql-doc-explorer');
    await docs.getByText('keeps every open inbox live').waitFor();
    await docs.getByText('Subscription', { exact: true }).click();
    await docs.getByText(/An inbox as it changes/).waitFor();
    await shoot(visitor.page, 'docs');
    alone(visitor);
  });

  test('says at once that a credential is wrong, and remembers a good one for the window', async () => {
    const visitor = await visit(browser, server.http);
    const { page, seen } = visitor;
    await who(page, 'ada of demo, test');
    await page.getByRole('textbox', { name: 'User' }).fill('grace');
    await page.getByRole('textbox', { name: 'User' }).blur();
    await who(page, 'grace of demo, test');
    await page.reload();
    await who(page, 'grace of demo, test');
    alone(visitor);

    await page.getByLabel('Act as').selectOption({ label: 'A secret key or a token' });
    await who(page, 'no credential: the schema can be read, nothing else');
    await page.getByRole('textbox', { name: 'Authorization' }).fill('Bearer wrong');
    await page.getByRole('textbox', { name: 'Authorization' }).blur();
    await page.waitForFunction(() => /credential is wrong/.test(document.querySelector('#who').value));
    await shoot(page, 'wrong-credential');
    assert.ok(seen.complaints.every((c) => c.includes('401')), seen.complaints.join('\n'));
  });
});

test('there is no playground in production', async () => {
  const w = await world('production');
  try {
    for (const at of ['/', '/playground/presets.json']) assert.equal((await fetch(w.server.http + at)).status, 404);
    const typed = await fetch(w.server.graphql, { headers: { accept: 'text/html,*/*;q=0.8' } });
    assert.match((await typed.json()).errors[0].message, /query/);
  } finally {
    await w.end();
  }
});

test('a playground that is switched on in production has no credential of its own, and takes one', async () => {
  const w = await world('production', { users: ['ada'], env: { PLAYGROUND: 'true' } });
  let browser;
  try {
    browser = await launch();
    assert.deepEqual(await (await fetch(`${w.server.http}/playground/presets.json`)).json(), []);
    const { page, seen } = await visit(browser, w.server.graphql); // as somebody types it
    assert.equal(page.url(), `${w.server.http}/`);
    await page.waitForFunction(() => /no credential/.test(document.querySelector('#who')?.value));
    await page.getByRole('textbox', { name: 'Authorization' }).fill(`Bearer ${await w.token('ada')}`);
    await page.getByRole('textbox', { name: 'Authorization' }).blur();
    await page.waitForFunction(() => document.querySelector('#who').value === 'ada of shop, test');
    assert.deepEqual(seen.complaints, []);
  } finally {
    await browser?.close();
    await w.end();
  }
});
