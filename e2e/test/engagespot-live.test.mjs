// Live updates as socket.io-client 4 sees them, which is inside all of the
// vendor's SDKs: across processes, refused, shut down.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { io } from 'socket.io-client';
import { backEnd } from '../lib/engagespot.mjs';
import { createApp, eventually, startServer, storage } from '../lib/server.mjs';
import { faults } from '../lib/world.mjs';

/** A socket of a user, what it has heard, and when it is open. */
function listen(server, app, user, { path = '', query = {}, ...options } = {}) {
  const socket = io(server.http + path, { query: { apiKey: app.apiKey, userId: user, ...query }, transports: ['websocket'], forceNew: true, reconnectionDelay: 50, ...options });
  const heard = [];
  socket.onAny((name, data) => heard.push([name, data]));
  const open = new Promise((done, failed) => {
    socket.on('connect', done);
    socket.on('connect_error', failed);
  });
  open.catch(() => {}); // for those who expect it
  return { socket, heard, open };
}

describe('live updates over socket.io', () => {
  let store, app, servers;
  const sockets = [];
  const connect = (...args) => {
    const s = listen(...args);
    sockets.push(s.socket);
    return s;
  };
  const api = (i) => backEnd({ server: servers[i], app });
  before(async () => {
    store = await storage('production');
    app = await createApp(store, { userAuth: 'open' });
    servers = await Promise.all([startServer(store), startServer(store)]);
    for (const user of ['ada', 'bob']) await api(0).call('PUT', `/users/${user}`, {});
  });
  after(async () => {
    for (const s of sockets) s.disconnect();
    await Promise.all((servers ?? []).map((s) => s.stop()));
    await store?.drop();
    for (const s of servers ?? []) assert.deepEqual(faults(s.log()), []);
  });

  test('what is done through one process is heard on the other, and by nobody else', async () => {
    const ada = connect(servers[1], app, 'ada');
    const prefixed = connect(servers[1], app, 'ada', { path: '/notify' }); // a base URL with a path asks for a namespace
    const bob = connect(servers[1], app, 'bob');
    await Promise.all([ada.open, prefixed.open, bob.open]);

    const began = Date.now();
    await api(0).send('ada', 'across');
    await eventually('the send', () => ada.heard.length === 1 && prefixed.heard.length === 1);
    assert.ok(Date.now() - began < 2500, 'it came by healing and not by the bus');
    const [[name, { notification }]] = ada.heard;
    assert.deepEqual([name, notification.title, notification.description], ['NEW_NOTIFICATION', 'across', 'About across.']);

    await api(0).call('PATCH', `/notifications/${notification.id}/click`, { read: true });
    await eventually('the click', () => ada.heard.length === 2);
    assert.deepEqual(ada.heard[1], ['NOTIFICATION_READ', { id: notification.id, notification: { id: notification.id } }]);
    await api(0).call('DELETE', `/notifications/${notification.id}`);
    await eventually('the deletion', () => prefixed.heard.length === 3);
    assert.equal(prefixed.heard[2][0], 'NOTIFICATION_DELETED');
    assert.deepEqual(bob.heard, []);
  });

  test('a client that is refused stays away, and is told why', async () => {
    const { socket, open } = connect(servers[0], app, 'ada', { query: { apiKey: 'pk_test_nobody' } });
    const err = await open.then(() => assert.fail('it was let in'), (e) => e);
    assert.match(err.message, /credential/);
    assert.equal(socket.active, false, 'it would try again for ever');
  });

  test('a client that polls is told to use a WebSocket', async () => {
    const { open } = connect(servers[0], app, 'ada', { transports: ['polling'], reconnection: false });
    await assert.rejects(open);
    const res = await fetch(`${servers[0].http}/socket.io/?EIO=4&transport=polling`);
    assert.equal(res.status, 400);
    const { code, message } = await res.json();
    assert.deepEqual([code, /transports: \["websocket"\]/.test(message)], [0, true]);
  });

  test('when its process shuts down a client comes back, and hears again', async () => {
    const ada = connect(servers[1], app, 'ada');
    await ada.open;
    const gone = new Promise((done) => ada.socket.on('disconnect', done));
    const port = new URL(servers[1].http).port;
    assert.deepEqual(await servers[1].stop(), { code: 0, signal: null });
    assert.equal(await gone, 'transport close');
    servers[1] = await startServer(store, { ADDR: `127.0.0.1:${port}` });
    await eventually('the client to be back', () => ada.socket.connected);
    await api(0).send('ada', 'after the restart');
    await eventually('the send', () => ada.heard.some(([, data]) => data.notification?.title === 'after the restart'));
  });
});
