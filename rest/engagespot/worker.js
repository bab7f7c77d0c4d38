// Shows web pushes of Carillon on a site that came from Engagespot. The site's
// own service worker, /service-worker.js, imports it:
//
//   importScripts('https://HOST/engagespot/worker.js?apiKey=KEY');
//
// HOST is this server, and KEY the API key of the site, with which clicks are
// told. self.Engagespot = {apiOverride: 'https://OTHER/v3/'} before the import sends
// them elsewhere.
'use strict';

(() => {
  const api = () => String((self.Engagespot && self.Engagespot.apiOverride) || '%API%').replace(/\/+$/, '');

  /** What a push says; null when it is not ours. */
  function read(event) {
    try {
      const { engagespot, customerData } = event.data.json().data;
      return customerData && typeof customerData === 'object' ? { as: engagespot || {}, item: customerData } : null;
    } catch {
      return null;
    }
  }

  /** Whether somebody is looking at the site: then its inbox shows the item. */
  async function watched() {
    const windows = await self.clients.matchAll({ type: 'window', includeUncontrolled: true });
    return windows.some((w) => w.focused);
  }

  async function show(push) {
    if (!push || (await watched())) return;
    const { title, body, icon } = push.item;
    await self.registration.showNotification(title || '', { body: body || '', icon: icon || undefined, data: push });
  }

  /** Tells the server that the item was opened. That it fails must not keep the page from opening. */
  async function click({ as, item }) {
    const key = as.apiKey || '%KEY%';
    if (!key || !as.userIdentifier || item.id == null) return;
    const headers = { 'Content-Type': 'application/json', 'X-ENGAGESPOT-API-KEY': key, 'X-ENGAGESPOT-USER-ID': as.userIdentifier };
    if (as.userSignature) headers['X-ENGAGESPOT-USER-SIGNATURE'] = as.userSignature;
    await fetch(`${api()}/notifications/${encodeURIComponent(item.id)}/click`, { method: 'POST', headers }).catch(() => {});
  }

  /** Opens the item's page: only a web page, whatever the item says. */
  async function open({ item }) {
    let url;
    try {
      url = new URL(item.url, self.location.origin);
    } catch {
      return;
    }
    if (item.url && (url.protocol === 'https:' || url.protocol === 'http:')) await self.clients.openWindow(url.href);
  }

  self.addEventListener('push', (event) => event.waitUntil(show(read(event))));
  self.addEventListener('notificationclick', (event) => {
    const push = event.notification.data;
    event.notification.close();
    if (push && push.item) event.waitUntil(Promise.all([click(push), open(push)]));
  });
})();
