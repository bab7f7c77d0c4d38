// The service worker script for web pushes: in a real browser, to which the
// browser's own debugger delivers a push, and its answer to a click.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import vm from 'node:vm';
import { launch } from '../lib/browser.mjs';
import { backEnd } from '../lib/engagespot.mjs';
import { eventually } from '../lib/server.mjs';
import { open, startSite } from '../lib/site.mjs';
import { world } from '../lib/world.mjs';

describe("the service worker for Engagespot's sites", () => {
  let w, app, site, browser, script, id;
  before(async () => {
    w = await world('embedded', { app: { userAuth: 'open' } });
    app = backEnd(w);
    script = `${w.server.http}/engagespot/worker.js?apiKey=${w.app.apiKey}`;
    site = await startSite({ '/page': 'navigator.serviceWorker.register("/service-worker.js");' }, `importScripts('${script}');`);
    browser = await launch();
    await app.call('PUT', '/users/ada', {});
    await app.send('ada', 'pushed');
    id = (await app.list('ada')).data[0].id;
  });
  after(async () => {
    await browser?.close();
    await site?.stop();
    await w?.end();
  });

  const push = () => ({
    title: 'pushed',
    data: { engagespot: { userIdentifier: 'ada' }, customerData: { id, title: 'pushed', body: 'About pushed.', url: '/page?opened' } },
  });

  test('shows a push in a browser, and survives nonsense', async () => {
    const { page, context, complaints } = await open(browser, site, '/page', w.server);
    await context.grantPermissions(['notifications'], { origin: site.origin });
    const cdp = await context.newCDPSession(page);
    let registrationId;
    cdp.on('ServiceWorker.workerRegistrationUpdated', ({ registrations }) => (registrationId = registrations[0]?.registrationId ?? registrationId));
    await cdp.send('ServiceWorker.enable');
    await page.evaluate(() => navigator.serviceWorker.ready);
    await eventually('the registration', () => registrationId);
    const shown = () => page.evaluate(async () => (await (await navigator.serviceWorker.ready).getNotifications()).map((n) => [n.title, n.body]));
    const deliver = (data) => cdp.send('ServiceWorker.deliverPushMessage', { origin: site.origin, registrationId, data });

    for (const data of ['nonsense', '{}', '{"data":null}', '{"data":{"customerData":7}}']) await deliver(data);
    await cdp.send('Emulation.setFocusEmulationEnabled', { enabled: false });
    const other = await context.newPage(); // looks away
    await other.bringToFront();
    await eventually('the push to be shown', async () => {
      await deliver(JSON.stringify(push()));
      return (await shown()).length > 0;
    });
    assert.deepEqual((await shown())[0], ['pushed', 'About pushed.']);
    assert.deepEqual(complaints, []);
  });

  /** The script's handlers, with a browser around them that notes what it is asked. */
  async function load(focused) {
    const handlers = {};
    const asked = [];
    const self = {
      addEventListener: (name, f) => (handlers[name] = f),
      location: new URL(site.origin + '/service-worker.js'),
      clients: { matchAll: async () => [{ focused }], openWindow: async (url) => asked.push(['open', url]) },
      registration: { showNotification: async (title, options) => asked.push(['show', title, options.body]) },
    };
    vm.runInNewContext(await (await fetch(script)).text(), { self, fetch, URL });
    const fire = async (name, event) => {
      let waiting;
      handlers[name]({ ...event, waitUntil: (p) => (waiting = p) });
      await waiting;
      return asked.splice(0);
    };
    return fire;
  }
  const pushed = (data) => ({ data: { json: () => data } });

  test('leaves it to the page that is looked at, and tells the server of a click', async () => {
    const fire = await load(true);
    assert.deepEqual(await fire('push', pushed(push())), []);
    const away = await load(false);
    assert.deepEqual(await away('push', pushed(push())), [['show', 'pushed', 'About pushed.']]);

    let closed = 0;
    const { engagespot, customerData } = push().data;
    const click = (item) => away('notificationclick', { notification: { data: { as: engagespot, item }, close: () => closed++ } });
    assert.deepEqual(await click(customerData), [['open', `${site.origin}/page?opened`]]);
    assert.equal(closed, 1);
    assert.ok((await app.list('ada')).data[0].clickedAt, 'the server was not told');
    assert.deepEqual(await click({ ...customerData, url: 'javascript:alert(1)' }), []);
    assert.deepEqual(await click({ ...customerData, url: undefined }), []);
  });
});
