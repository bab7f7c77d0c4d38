// How a WebSocket ends: each close code provoked, on both set-ups.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { eventually, setups } from '../lib/server.mjs';
import { dial } from '../lib/socket.mjs';
import { sign, world } from '../lib/world.mjs';

const live = 'subscription { inbox { position counters { unread } added { title } } }';

// Side by side: some wait for seconds to go by.
const sideBySide = { concurrency: 8 };

for (const setup of setups) {
  describe(`close codes on ${setup}`, sideBySide, () => {
    let w, user;
    before(async () => {
      w = await world(setup, { users: ['ada', 'grace', 'gone'], env: { MAX_FRAME: '32768', MAX_CONNECTIONS_USER: '40', MAX_SUBSCRIPTIONS: '2', MAX_WRONG_CREDENTIALS: '0' } });
      user = { authorization: `Bearer ${await w.token('ada')}` };
    });
    after(() => w?.end());

    /** Opens a socket, up to the acknowledgement unless payload is null. */
    async function open(payload = user, options = {}) {
      const socket = await dial(w.server, options);
      if (payload) await socket.init(payload);
      return socket;
    }

    async function expect(socket, code, reason) {
      const end = await socket.ended();
      assert.equal(end.code, code, `closed with ${end.code} ${end.reason}`);
      if (reason) assert.match(end.reason, reason);
      return end;
    }

    for (const [what, said, reason] of [
      ['text that is not JSON', 'hello', /JSON/],
      ['a list', '[]', /object/],
      ['a batch', [{ type: 'ping' }], /object/],
      ['a message without a type', {}, /type/],
      ['a type that is no text', { type: 1 }, /type/],
      ['a type that nobody knows', { type: 'start', id: '1' }, /"start"/],
      ["a server's type", { type: 'next', id: '1', payload: {} }, /"next"/],
      ['a subscribe without an id', { type: 'subscribe', payload: { query: live } }, /id/],
      ['a subscribe with an empty id', { type: 'subscribe', id: '', payload: { query: live } }, /id/],
      ['a subscribe with a number for an id', { type: 'subscribe', id: 1, payload: { query: live } }, /id/],
      ['a subscribe without a payload', { type: 'subscribe', id: '1' }, /payload/],
      ['a subscribe without a query', { type: 'subscribe', id: '1', payload: {} }, /query/],
      ['a subscribe whose query is no text', { type: 'subscribe', id: '1', payload: { query: {} } }, /query/],
      ['a complete without an id', { type: 'complete' }, /id/],
      ['a payload that is no object', { type: 'ping', payload: 'x' }, /payload/],
    ]) {
      test(`4400: ${what}`, async () => {
        const socket = await open();
        socket.say(said);
        await expect(socket, 4400, reason);
      });
    }
    test('4400: a binary frame', async () => {
      const socket = await open();
      socket.ws.send(Buffer.from('{"type":"ping"}'), { binary: true });
      await expect(socket, 4400, /text/);
    });

    test('4401: subscribe before the acknowledgement', async () => {
      const socket = await open(null);
      socket.subscribe('1', '{ __typename }');
      await expect(socket, 4401, /Unauthorized/);
    });
    for (const [what, payload] of [
      ['no credential', {}],
      ['no payload', undefined],
      ['a wrong secret key', { authorization: 'Bearer sk_test_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' }],
      ['a key of no environment', { key: 'pk_test_nobody', user: 'ada' }],
      ['a credential that is no text', { authorization: 1 }],
    ]) {
      test(`4401: ${what}`, async () => {
        const socket = await open(null);
        socket.say({ type: 'connection_init', payload });
        await expect(socket, 4401);
      });
    }
    test('4401: a token with another signature, and one that expired', async () => {
      const now = Math.floor(Date.now() / 1000);
      for (const token of [sign(w.app, {}, { secret: 'x'.repeat(43) }), sign(w.app, { exp: now - 120 })]) {
        const socket = await open(null);
        socket.say({ type: 'connection_init', payload: { authorization: `Bearer ${token}` } });
        await expect(socket, 4401);
      }
    });
    test('4401: a public key and a user, where tokens are required', async () => {
      const socket = await open(null);
      socket.say({ type: 'connection_init', payload: { key: w.app.apiKey, user: 'ada' } });
      await expect(socket, 4401);
    });
    test('a wrong credential on the upgrade is refused before there is a socket', async () => {
      await assert.rejects(open(null, { headers: { authorization: 'Bearer wrong' } }), /401/);
    });

    test('4403: a token that expires while the socket is open', async () => {
      const socket = await open({ authorization: `Bearer ${await w.token('ada', '3s')}` });
      socket.subscribe('1', live);
      await socket.hear();
      const { took } = await expect(socket, 4403, /expired/);
      assert.ok(took < 12_000, `it took ${took} ms`);
    });
    test('4403: a credential that is revoked while the socket is open', async () => {
      const { createCredential } = await w.query(
        w.app.secretKey,
        'mutation { createCredential(input: {kind: SECRET_KEY, name: "second"}) { secret credential { id } userErrors { message } } }',
      );
      const socket = await open({ authorization: `Bearer ${createCredential.secret}` });
      socket.subscribe('1', 'subscription { inbox(user: "ada") { position } }');
      await socket.hear();
      const { revokeCredential } = await w.query(
        w.app.secretKey,
        'mutation ($id: ID!) { revokeCredential(input: {id: $id}) { credential { revokedAt } userErrors { message } } }',
        { id: createCredential.credential.id },
      );
      assert.ok(revokeCredential.credential.revokedAt, JSON.stringify(revokeCredential));
      await expect(socket, 4403, /revoked/);
    });
    test('4403: a user who is deleted while the socket is open', async () => {
      const socket = await open({ authorization: `Bearer ${await w.token('gone')}` });
      socket.subscribe('1', live);
      await socket.hear();
      await w.query(w.app.secretKey, 'mutation { deleteUser(input: {user: "gone"}) { deletedUserId } }');
      await expect(socket, 4403, /deleted/);
    });
    for (const [what, payload] of [
      ['a wrong credential', () => ({ authorization: 'Bearer wrong' })],
      ["another user's token", () => ({ authorization: `Bearer ${sign(w.app, { sub: 'grace' })}` })],
      ['a secret key', () => ({ authorization: w.secret })],
    ]) {
      test(`4403: renewal with ${what}`, async () => {
        const socket = await open();
        socket.say({ type: 'ping', payload: payload() });
        await expect(socket, 4403);
      });
    }
    test('a fresh token in a ping keeps the socket open beyond the first', async () => {
      const first = await w.token('grace', '4s');
      const socket = await dial(w.server);
      const ack = await socket.init({ authorization: `Bearer ${first}` });
      socket.subscribe('1', live);
      assert.equal((await socket.hear()).type, 'next');
      const exp = Math.floor(Date.now() / 1000) + 600;
      socket.say({ type: 'ping', payload: { authorization: `Bearer ${sign(w.app, { sub: 'grace', exp })}` } });
      assert.deepEqual(await socket.hear(), { type: 'pong', payload: { exp } });
      await new Promise((done) => setTimeout(done, ack.exp * 1000 - Date.now() + 2500)); // until the first would have ended it
      await w.send('grace', 'still here');
      const { payload } = await socket.hear();
      assert.deepEqual(payload.data.inbox.added, [{ title: 'still here' }]);
      socket.ws.close(1000);
      await expect(socket, 1000);
    });

    for (const protocol of ['graphql-ws', 'soap, graphql-transport-wss', null]) {
      test(`4406: subprotocol ${protocol}`, async () => {
        const socket = await open(null, { protocol });
        await expect(socket, 4406);
      });
    }

    test('4408: no connection_init within ten seconds', async () => {
      const socket = await open(null);
      const { took } = await expect(socket, 4408);
      assert.ok(took >= 9000 && took < 30_000, `it took ${took} ms`);
    });

    test('4409: an id that is in use', async () => {
      const socket = await open();
      socket.subscribe('1', live);
      await socket.hear();
      socket.subscribe('1', live);
      await expect(socket, 4409, /Subscriber for 1 already exists/);
    });
    test('an id can be used again when its operation has ended', async () => {
      const socket = await open();
      for (let i = 0; i < 3; i++) {
        socket.subscribe('1', '{ __typename }');
        assert.deepEqual((await socket.hear()).payload, { data: { __typename: 'Query' } });
        assert.deepEqual(await socket.hear(), { type: 'complete', id: '1' });
      }
      socket.ws.close(1000);
    });

    test('4429: a second connection_init', async () => {
      const socket = await open();
      socket.say({ type: 'connection_init', payload: user });
      await expect(socket, 4429, /initialisation/);
    });
    test('4429: a second connection_init before the first is answered', async () => {
      const socket = await open(null);
      for (let i = 0; i < 2; i++) socket.say({ type: 'connection_init', payload: user });
      await expect(socket, 4429);
    });

    test('1002: frames that are not masked', async () => {
      const socket = await open();
      socket.ws.send('{"type":"ping"}', { mask: false });
      await expect(socket, 1002);
    });
    test('1007: text that is not UTF-8', async () => {
      const socket = await open();
      socket.ws.send(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d]), { binary: false });
      await expect(socket, 1007);
    });
    test('1009: a message that is too large', async () => {
      const socket = await open();
      const message = (bytes) => JSON.stringify({ type: 'ping', payload: { x: 'x'.repeat(bytes) } });
      socket.say(message(30_000));
      assert.equal((await socket.hear()).type, 'pong');
      socket.say(message(33_000));
      await expect(socket, 1009);
    });
    test('1009: a large message before the acknowledgement', async () => {
      const socket = await open(null);
      socket.say({ type: 'connection_init', payload: { ...user, x: 'x'.repeat(20_000) } });
      await expect(socket, 1009);
    });
    test('1000: the client goes', async () => {
      const socket = await open();
      socket.ws.close(1000, 'bye');
      await expect(socket, 1000);
    });

    test('a subscription too many is an error on its id and nothing else', async () => {
      const socket = await open();
      for (const id of ['1', '2']) {
        socket.subscribe(id, live);
        assert.equal((await socket.hear()).id, id);
      }
      socket.subscribe('3', live);
      const { type, id, payload } = await socket.hear();
      assert.deepEqual({ type, id }, { type: 'error', id: '3' });
      assert.match(payload[0].message, /at most 2/);
      socket.say({ type: 'complete', id: '1' });
      socket.subscribe('4', live);
      assert.equal((await socket.hear()).id, '4');
      socket.ws.close(1000);
    });
    test('what is wrong with a document is an error on its id and nothing else', async () => {
      const socket = await open();
      for (const [query, code] of [
        ['{', 'GRAPHQL_PARSE_FAILED'],
        ['{ nobody }', 'GRAPHQL_VALIDATION_FAILED'],
        ['subscription { sendProgress(id: "x") { status } }', 'FORBIDDEN'],
        ['subscription { inbox(user: "grace") { position } }', 'NOT_FOUND'],
        ['subscription { inbox(first: 0) { position } }', 'BAD_USER_INPUT'],
      ]) {
        socket.subscribe(code, query);
        const { type, id, payload } = await socket.hear();
        assert.deepEqual({ type, id, code: payload[0]?.extensions?.code }, { type: 'error', id: code, code });
      }
      socket.subscribe('1', live);
      assert.equal((await socket.hear()).type, 'next');
      socket.ws.close(1000);
    });
  });

  describe(`close codes when there is no room, on ${setup}`, () => {
    let w;
    before(async () => {
      w = await world(setup, { users: ['ada', 'grace'], env: { MAX_CONNECTIONS_USER: '2', MAX_CONNECTIONS: '4' } });
    });
    after(() => w?.end());

    const open = async (who) => {
      const socket = await dial(w.server);
      socket.say({ type: 'connection_init', payload: { authorization: who } });
      return socket;
    };

    test("1013: more connections than one user, or the process, may have; 1001: the server goes", async () => {
      const [ada, grace] = [`Bearer ${await w.token('ada')}`, `Bearer ${await w.token('grace')}`];
      const sockets = [await open(ada), await open(ada)];
      for (const s of sockets) assert.equal((await s.hear()).type, 'connection_ack');
      const third = await (await open(ada)).ended();
      assert.deepEqual({ code: third.code, open: sockets.map((s) => s.ws.readyState) }, { code: 1013, open: [1, 1] });

      // Another user is not held up by that, nor an event stream counted twice.
      const stream = await fetch(w.server.graphql, {
        method: 'POST',
        headers: { 'content-type': 'application/json', accept: 'text/event-stream', authorization: ada },
        body: JSON.stringify({ query: live }),
      });
      assert.equal(stream.status, 429);
      assert.ok(Number(stream.headers.get('retry-after')) >= 1);
      assert.equal((await stream.json()).errors[0].extensions.code, 'RATE_LIMITED');
      for (let i = 0; i < 2; i++) {
        sockets.push(await open(grace));
        assert.equal((await sockets.at(-1).hear()).type, 'connection_ack');
      }
      const fifth = await dial(w.server);
      assert.equal((await fifth.ended()).code, 1013);

      // Room again when one goes.
      sockets.pop().ws.close(1000);
      await eventually('room', async () => {
        const again = await open(grace);
        const got = await Promise.race([again.hear().catch(() => null), again.ended().then(() => null)]);
        if (got) sockets.push(again);
        return got;
      });

      sockets[0].subscribe('1', live);
      assert.equal((await sockets[0].hear()).type, 'next');
      w.server.stop('SIGTERM');
      for (const s of sockets) assert.equal((await s.ended()).code, 1001);
    });
  });
}
