// Web pushes from end to end: the vendor's own core package registers a browser,
// an application sends over the REST dialect, and a push service on loopback gets
// what only that browser can read.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createDecipheriv, createECDH, hkdfSync } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { launch } from '../lib/browser.mjs';
import { backEnd } from '../lib/engagespot.mjs';
import { eventually } from '../lib/server.mjs';
import { open, startSite } from '../lib/site.mjs';
import { world } from '../lib/world.mjs';

const pages = { '/core3': `import { createInstance } from '@engagespot/core'; window.createInstance = createInstance;` };

/** Stands for the browser's connection to its push service, which is out of reach: everything after it is real. */
const pushService = (subscription) => {
  PushManager.prototype.subscribe = async function ({ applicationServerKey }) {
    window.subscribedWith = applicationServerKey;
    return { ...subscription, toJSON: () => subscription, unsubscribe: async () => true };
  };
};

/** A push service with a certificate of its own, and the calls that it got. */
async function startPushService(dir) {
  const [key, cert] = [join(dir, 'key.pem'), join(dir, 'cert.pem')];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', '/CN=push',
    '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', cert], { stdio: 'ignore' });
  const calls = [];
  const server = createServer({ key: readFileSync(key), cert: readFileSync(cert) }, async (req, res) => {
    const parts = [];
    for await (const part of req) parts.push(part);
    calls.push({ path: req.url, headers: req.headers, body: Buffer.concat(parts) });
    res.writeHead(201).end();
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  return { cert, calls, url: `https://127.0.0.1:${server.address().port}`, stop: () => new Promise((done) => server.close(done)) };
}

/** The browser's side of RFC 8188 and RFC 8291, for messages of one record. */
function decrypt(body, ecdh, auth) {
  const salt = body.subarray(0, 16);
  const theirs = body.subarray(21, 21 + body[20]);
  const sealed = body.subarray(21 + body[20]);
  const info = Buffer.concat([Buffer.from('WebPush: info\0'), ecdh.getPublicKey(), theirs]);
  const ikm = Buffer.from(hkdfSync('sha256', ecdh.computeSecret(theirs), auth, info, 32));
  const key = Buffer.from(hkdfSync('sha256', ikm, salt, 'Content-Encoding: aes128gcm\0', 16));
  const nonce = Buffer.from(hkdfSync('sha256', ikm, salt, 'Content-Encoding: nonce\0', 12));
  const decipher = createDecipheriv('aes-128-gcm', key, nonce);
  decipher.setAuthTag(sealed.subarray(-16));
  const plain = Buffer.concat([decipher.update(sealed.subarray(0, -16)), decipher.final()]);
  return JSON.parse(plain.subarray(0, plain.lastIndexOf(2)).toString());
}

describe("web pushes to Engagespot's clients", () => {
  const dir = mkdtempSync(join(tmpdir(), 'push-'));
  let service, w, app, site, browser;
  before(async () => {
    service = await startPushService(dir);
    w = await world('embedded', { app: { userAuth: 'open' }, env: { OUTGOING_ALLOW: '127.0.0.1/32', SSL_CERT_FILE: service.cert } });
    app = backEnd(w);
    const made = await w.query(w.app.secretKey, `mutation { createProvider(input: {kind: "webpush", channel: WEB_PUSH, config: {subject: "mailto:ops@example.com"}}) {
      provider { id } userErrors { path message } } }`);
    assert.deepEqual(made.createProvider.userErrors, []);
    site = await startSite(pages, `importScripts('${w.server.http}/engagespot/worker.js');`);
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await site?.stop();
    await w?.end();
    await service?.stop();
    rmSync(dir, { recursive: true });
  });

  test('a browser that core 3.0.1 registered gets what is sent', async () => {
    const ecdh = createECDH('prime256v1');
    const auth = Buffer.from('sixteen-byte-key');
    const keys = { p256dh: ecdh.generateKeys('base64url'), auth: auth.toString('base64url') };
    const { page, context } = await open(browser, site, '/core3', w.server);
    await context.grantPermissions(['notifications'], { origin: site.origin });
    await page.evaluate(pushService, { endpoint: `${service.url}/push/ada`, expirationTime: null, keys });
    const connected = await page.evaluate(
      async ({ baseUrl, apiKey }) => {
        const ada = createInstance({ apiKey, userId: 'ada', baseUrl, disableAutoStart: true, allowNonHttpsWebPush: true });
        const { data } = await ada.app.connect();
        await ada.webPush.connect();
        await ada.webPush.subscribe();
        return data.app;
      },
      { baseUrl: w.server.http + '/', apiKey: w.app.apiKey },
    );
    assert.equal(connected.enableWebPush, true);
    assert.equal(await page.evaluate(() => window.subscribedWith), connected.publicKey);

    await app.send('ada', 'pushed', { url: '/there' });
    const call = await eventually('a push', () => service.calls[0]);
    assert.equal(call.path, '/push/ada');
    assert.ok(call.headers.authorization.endsWith(`k=${connected.publicKey}`), call.headers.authorization);
    const { data } = decrypt(call.body, ecdh, auth);
    const [item] = (await app.list('ada')).data;
    assert.deepEqual(data.customerData, { id: item.id, title: 'pushed', body: 'About pushed.', url: '/there' });
    assert.equal(data.engagespot.userIdentifier, 'ada');
  });
});
