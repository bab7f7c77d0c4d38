// Who may do what over HTTP and server-sent events, and what a request that
// may not is told, on both set-ups.
import assert from 'node:assert/strict';
import { createHmac, generateKeyPairSync, sign as signWith } from 'node:crypto';
import http from 'node:http';
import { after, before, describe, test } from 'node:test';
import { createApp, setups } from '../lib/server.mjs';
import { sign, signature, world } from '../lib/world.mjs';

const json = 'application/json';
const events = 'text/event-stream';
const graphqlJSON = 'application/graphql-response+json';
const who = '{ viewer { app { name } user { identifier } } }';
const live = 'subscription { inbox { position } }';

/** One request by node's own client, which sends headers as they are given: also twice. */
function raw(server, { method = 'POST', path = '/graphql', headers = {}, body } = {}) {
  return new Promise((done, failed) => {
    const req = http.request(new URL(path, server.http), { method, headers, agent: false }, async (res) => {
      let text = '';
      res.setEncoding('utf8');
      res.on('error', failed);
      const stream = res.headers['content-type']?.startsWith(events);
      for await (const part of res) {
        text += part;
        if (stream) break; // the first of it will do
      }
      done({ status: res.statusCode, headers: res.headers, text });
    });
    req.on('error', failed);
    req.end(body && Buffer.from(body)); // as bytes, or node sends the headers as UTF-8 of it, too
  });
}

const code = ({ text }) => JSON.parse(text).errors?.[0]?.extensions?.code;

/** A GraphQL request with headers of a credential. */
function ask(server, credential, query, { accept = json, ...more } = {}) {
  return raw(server, { headers: { 'content-type': json, accept, ...credential }, body: JSON.stringify({ query }), ...more });
}

/** What everyone may read, whatever was answered. */
function opened({ headers }) {
  assert.equal(headers['access-control-allow-origin'], '*');
  assert.equal(headers['access-control-allow-credentials'], undefined);
  for (const name of ['Retry-After', 'X-Request-Id']) assert.match(headers['access-control-expose-headers'], new RegExp(name));
  assert.ok(headers['x-request-id']);
  assert.equal(headers['x-content-type-options'], 'nosniff');
}

for (const setup of setups) {
  describe(`credentials on ${setup}`, () => {
    let w, shop, other, open, hmac;
    before(async () => {
      w = await world(setup, { users: ['ada', 'grace'], env: { MAX_WRONG_CREDENTIALS: '0' } });
      shop = w.app;
      other = await createApp(w.store, { name: 'other' });
      open = await createApp(w.store, { name: 'open', userAuth: 'open' });
      hmac = await createApp(w.store, { name: 'hmac', userAuth: 'hmac' });
    });
    after(() => w?.end());
    const bearer = (token) => ({ authorization: `Bearer ${token}` });
    const now = () => Math.floor(Date.now() / 1000);

    const wrong = {
      'a wrong secret key': () => bearer('sk_test_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'),
      'a secret key that is cut': () => bearer(shop.secretKey.slice(0, -1)),
      'a secret key in capitals': () => bearer(shop.secretKey.toUpperCase()),
      "another app's secret key with this one's public key": () => ({ ...bearer(other.secretKey), 'x-carillon-key': shop.apiKey }),
      'an API secret': () => bearer(shop.apiSecret),
      'a token with another signature': () => bearer(sign(shop, {}, { secret: other.signingSecret })),
      'a token signed with the public key': () => bearer(sign(shop, {}, { secret: shop.apiKey })),
      'a token that expired': () => bearer(sign(shop, { exp: now() - 120 })),
      'a token without an end': () => bearer(sign(shop, { exp: undefined })),
      'a token that lasts for two days': () => bearer(sign(shop, { exp: now() + 2 * 86_400 })),
      'a token of the future': () => bearer(sign(shop, { nbf: now() + 600 })),
      'a token of nobody': () => bearer(sign(shop, { sub: undefined })),
      'a token that is not signed': () => bearer(sign(shop, {}, { header: { alg: 'none' } })),
      'a token with crit': () => bearer(sign(shop, {}, { header: { crit: ['x'], x: 1 } })),
      'a token of no environment': () => bearer(sign(shop, { apiKey: undefined })),
      "a token with another user's header": () => ({ ...bearer(sign(shop, {})), 'x-carillon-user': 'grace' }),
      'another scheme': () => ({ authorization: `Basic ${Buffer.from(`${shop.apiKey}:${shop.secretKey}`).toString('base64')}` }),
      'a scheme alone': () => ({ authorization: 'Bearer' }),
      'an empty header': () => ({ authorization: '' }),
      'two headers, one of them right': () => ({ authorization: [w.secret, 'Bearer x'] }),
      '100,000 dots': () => bearer('.'.repeat(30_000)),
      'a public key and a user, where tokens are required': () => ({ 'x-carillon-key': shop.apiKey, 'x-carillon-user': 'ada' }),
      'a public key alone': () => ({ 'x-carillon-key': open.apiKey }),
      'a user alone': () => ({ 'x-carillon-user': 'ada' }),
      'a public key that there is not': () => ({ 'x-carillon-key': 'pk_test_nobody', 'x-carillon-user': 'ada' }),
      'no signature, where it is required': () => ({ 'x-carillon-key': hmac.apiKey, 'x-carillon-user': 'ada' }),
      "another user's signature": () => ({ 'x-carillon-key': hmac.apiKey, 'x-carillon-user': 'ada', 'x-carillon-signature': signature(hmac, 'grace') }),
      "another app's signature": () => ({ 'x-carillon-key': hmac.apiKey, 'x-carillon-user': 'ada', 'x-carillon-signature': signature(open, 'ada') }),
      'a signature in hexadecimal': () => ({
        'x-carillon-key': hmac.apiKey,
        'x-carillon-user': 'ada',
        'x-carillon-signature': createHmac('sha256', hmac.apiSecret).update('ada').digest('hex'),
      }),
      'a wrong signature where none is required': () => ({ 'x-carillon-key': open.apiKey, 'x-carillon-user': 'ada', 'x-carillon-signature': signature(open, 'grace') }),
    };
    let told; // the one body that all of them get
    for (const [what, credential] of Object.entries(wrong)) {
      test(`${what}: 401, and always the same`, async () => {
        const ways = [
          ask(w.server, credential(), who),
          ask(w.server, credential(), '{ __typename }'),
          ask(w.server, credential(), live, { accept: events }),
          raw(w.server, { headers: { 'content-type': json, ...credential() }, body: '{ not JSON' }),
          raw(w.server, { headers: { 'content-type': 'text/plain', accept: 'image/png', ...credential() }, body: 'x' }),
          raw(w.server, { method: 'PUT', headers: credential(), body: 'x' }),
          raw(w.server, { method: 'GET', path: '/graphql?query=%7B__typename%7D', headers: credential() }),
        ];
        for (const answer of await Promise.all(ways)) {
          assert.equal(answer.status, 401, answer.text);
          assert.match(answer.headers['content-type'], /^application\/(graphql-response\+)?json/);
          assert.equal(answer.headers['www-authenticate'], 'Bearer');
          opened(answer);
          told ??= answer.text;
          assert.equal(answer.text, told);
        }
      });
    }
    test('a wrong credential is refused while a large body is still on its way', async () => {
      const answer = await raw(w.server, { headers: { 'content-type': json, ...bearer('x') }, body: 'x'.repeat(2 << 20) }).catch((err) => err);
      // The server may be gone before the body is: then there was no answer to read.
      if (answer instanceof Error) assert.match(answer.code, /EPIPE|ECONNRESET/);
      else assert.equal(answer.status, 401);
    });

    test('no credential: the schema and nothing else', async () => {
      for (const query of [who, 'mutation { markAllNotifications(input: {as: READ}) { affected } }', '{ __typename viewer { environment } }']) {
        for (const accept of [json, graphqlJSON, events]) {
          const answer = await ask(w.server, {}, query, { accept });
          assert.equal(answer.status, 401, answer.text);
          assert.equal(code(answer), 'UNAUTHENTICATED');
          assert.equal(answer.headers['www-authenticate'], 'Bearer');
          opened(answer);
        }
      }
      assert.equal((await ask(w.server, {}, live, { accept: events })).status, 401);
      for (const elsewhere of [{ path: `/graphql?authorization=${w.secret}&apiKey=${shop.secretKey}` }, { headers: { 'content-type': json, cookie: `authorization=${w.secret}` } }]) {
        const answer = await raw(w.server, { headers: { 'content-type': json }, body: JSON.stringify({ query: who }), ...elsewhere });
        assert.equal(answer.status, 401, 'a credential that is not in a header counted');
      }
      assert.equal((await ask(w.server, {}, '{ __typename __schema { queryType { name } } }')).status, 200);
    });

    test('a secret key may do all, a user what is theirs', async () => {
      const viewer = async (credential) => JSON.parse((await ask(w.server, credential, who)).text).data.viewer;
      assert.deepEqual(await viewer({ authorization: w.secret }), { app: { name: 'shop' }, user: null });
      assert.deepEqual(await viewer(bearer(sign(shop, {}))), { app: { name: 'shop' }, user: { identifier: 'ada' } });
      assert.deepEqual(await viewer(bearer(await w.token('grace'))), { app: { name: 'shop' }, user: { identifier: 'grace' } });
    });

    test('whoever signs in an open or an hmac environment is made known; elsewhere they are told what to do', async () => {
      const viewer = async (credential) => JSON.parse((await ask(w.server, credential, who)).text).data.viewer;
      const named = (app, user) => ({ 'x-carillon-key': app.apiKey, 'x-carillon-user': user });
      assert.deepEqual(await viewer(named(open, 'new')), { app: { name: 'open' }, user: { identifier: 'new' } });
      assert.deepEqual(await viewer({ ...named(hmac, 'Ада 🔔'), 'x-carillon-user': Buffer.from('Ада 🔔').toString('latin1'), 'x-carillon-signature': signature(hmac, 'Ада 🔔') }), {
        app: { name: 'hmac' },
        user: { identifier: 'Ада 🔔' },
      });
      for (const [app, credential] of [[open, named(open, 'linus')], [hmac, { ...named(hmac, 'linus'), 'x-carillon-signature': signature(hmac, 'linus') }]]) {
        const stream = await ask(w.server, credential, live, { accept: events });
        assert.equal(stream.status, 200, `${app.app}: ${stream.text}`);
      }
      const unknown = bearer(sign(shop, { sub: 'stranger' }));
      const told = await ask(w.server, unknown, 'mutation { markAllNotifications(input: {as: READ}) { affected userErrors { code message } } }');
      assert.match(told.text, /NOT_FOUND/);
      assert.match(told.text, /identifyUser/);
      const { data } = JSON.parse((await ask(w.server, unknown, 'mutation { identifyUser(input: {identifier: "stranger"}) { created userErrors { message } } }')).text);
      assert.deepEqual(data.identifyUser, { created: true, userErrors: [] });
      assert.equal((await viewer(unknown)).user.identifier, 'stranger');
    });

    test('tokens of a registered key: ES256, EdDSA and RS256', async () => {
      const pairs = [
        ['ES256', generateKeyPairSync('ec', { namedCurve: 'P-256' }), { dsaEncoding: 'ieee-p1363' }, 'sha256'],
        ['EdDSA', generateKeyPairSync('ed25519'), {}, null],
        ['RS256', generateKeyPairSync('rsa', { modulusLength: 2048 }), {}, 'sha256'],
      ];
      for (const [alg, { publicKey, privateKey }, options, hash] of pairs) {
        const { createCredential } = await w.query(
          shop.secretKey,
          'mutation ($pem: String!) { createCredential(input: {kind: TOKEN_KEY, publicKey: $pem}) { credential { keyId } userErrors { message } } }',
          { pem: publicKey.export({ type: 'spki', format: 'pem' }) },
        );
        assert.deepEqual(createCredential.userErrors, []);
        const token = (claims, algorithm = alg) => {
          const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
          const text = `${part({ alg: algorithm, kid: createCredential.credential.keyId })}.${part({ sub: 'ada', exp: now() + 600, ...claims })}`;
          return `${text}.${signWith(hash, Buffer.from(text), { key: privateKey, ...options }).toString('base64url')}`;
        };
        const good = await ask(w.server, bearer(token({})), who);
        assert.equal(good.status, 200, `${alg}: ${good.text}`);
        assert.equal(JSON.parse(good.text).data.viewer.user.identifier, 'ada');
        assert.equal((await ask(w.server, bearer(token({ exp: now() - 120 })), who)).status, 401);
        assert.equal((await ask(w.server, bearer(token({}, 'HS256')), who)).status, 401, `${alg} taken for HS256`);
      }
    });

    test('a user on a field for secret keys: 403 for the whole, before anything is looked at', async () => {
      const { __schema } = await w.query(shop.secretKey, '{ __schema { types { name fields { name description } } } }');
      const fields = __schema.types.flatMap((t) =>
        ['Query', 'Mutation', 'Subscription'].includes(t.name) ? t.fields.filter((f) => /Secret key only/.test(f.description)).map((f) => [t.name.toLowerCase(), f.name]) : [],
      );
      assert.ok(fields.length >= 17, `${fields.length} fields are for secret keys only`);
      const ada = bearer(sign(shop, {}));
      for (const [kind, name] of fields) {
        for (const accept of kind === 'subscription' ? [events] : [json, graphqlJSON]) {
          const answer = await ask(w.server, ada, `${kind} { ${name} { __typename } }`, { accept });
          assert.equal(answer.status, 403, `${name}: ${answer.text}`);
          assert.equal(code(answer), 'FORBIDDEN');
          assert.match(answer.text, new RegExp(name));
          assert.equal(JSON.parse(answer.text).data, undefined);
          opened(answer);
        }
      }
      // What stands beside it does not happen either.
      const mixed = await ask(w.server, ada, 'mutation { identifyUser(input: {identifier: "ada", firstName: "Changed"}) { created } deleteUser(input: {user: "grace"}) { deletedUserId } }');
      assert.equal(mixed.status, 403);
      const { user } = await w.query(shop.secretKey, '{ user(identifier: "ada") { profile { firstName } } }');
      assert.equal(user.profile.firstName, null);
    });

    test('what is not theirs is not there', async () => {
      await w.send('grace', 'private');
      const { user } = await w.query(shop.secretKey, '{ user(identifier: "grace") { id inbox { nodes { id } } } }');
      const id = user.inbox.nodes[0].id;
      const seen = async (credential) =>
        JSON.parse((await ask(w.server, credential, `{ user(identifier: "grace") { id } node(id: "${user.id}") { id } item: node(id: "${id}") { id } notification(id: "${id}") { id } }`)).text).data;
      const nothing = { user: null, node: null, item: null, notification: null };
      assert.deepEqual(await seen(bearer(sign(shop, {}))), nothing);
      assert.deepEqual(await seen(bearer(other.secretKey)), nothing);
      assert.equal((await seen(bearer(sign(shop, { sub: 'grace' })))).item.id, id);
      for (const credential of [bearer(sign(shop, {}))]) {
        const { data } = JSON.parse((await ask(w.server, credential, `mutation { deleteNotifications(input: {ids: ["${id}"]}) { deleted notFound } }`)).text);
        assert.deepEqual(data.deleteNotifications, { deleted: [], notFound: [id] });
      }
    });

    test('an event stream ends when its token does, without complete', async () => {
      const started = Date.now();
      const res = await fetch(w.server.graphql, {
        method: 'POST',
        headers: { 'content-type': json, accept: events, ...bearer(await w.token('ada', '2s')) },
        body: JSON.stringify({ query: live }),
      });
      assert.equal(res.status, 200);
      const text = await res.text(); // to its end
      assert.match(text, /event: next\n/);
      assert.doesNotMatch(text, /event: complete/);
      assert.ok(Date.now() - started < 12_000);
    });
  });

  describe(`what HTTP asks for on ${setup}`, () => {
    let w, secret;
    before(async () => {
      w = await world(setup);
      secret = { authorization: w.secret };
    });
    after(() => w?.end());
    const get = (query) => `/graphql?query=${encodeURIComponent(query)}`;
    const post = (over = {}) => ({ headers: { 'content-type': json, ...secret, ...over.headers }, body: over.body ?? JSON.stringify({ query: who }) });

    const refused = [
      ['PUT', 405, 'METHOD_NOT_ALLOWED', () => ({ method: 'PUT', headers: secret })],
      ['DELETE', 405, 'METHOD_NOT_ALLOWED', () => ({ method: 'DELETE', headers: secret })],
      ['a mutation by GET', 405, 'METHOD_NOT_ALLOWED', () => ({ method: 'GET', path: get('mutation { __typename }'), headers: secret })],
      ['a subscription by GET', 405, 'METHOD_NOT_ALLOWED', () => ({ method: 'GET', path: get('subscription { inbox(user: "ada") { position } }'), headers: secret })],
      ['nothing by GET', 400, 'BAD_USER_INPUT', () => ({ method: 'GET', headers: secret })],
      ['text', 415, 'UNSUPPORTED_MEDIA_TYPE', () => post({ headers: { 'content-type': 'text/plain' } })],
      ['a form', 415, 'UNSUPPORTED_MEDIA_TYPE', () => post({ headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: 'query={__typename}' })],
      ['a form of parts', 415, 'UNSUPPORTED_MEDIA_TYPE', () => post({ headers: { 'content-type': 'multipart/form-data; boundary=x' } })],
      ['a document alone', 415, 'UNSUPPORTED_MEDIA_TYPE', () => post({ headers: { 'content-type': 'application/graphql' }, body: who })],
      ['another character set', 415, 'UNSUPPORTED_MEDIA_TYPE', () => post({ headers: { 'content-type': 'application/json; charset=utf-16' } })],
      ['a compressed body', 415, 'UNSUPPORTED_MEDIA_TYPE', () => post({ headers: { 'content-encoding': 'gzip' } })],
      ['a picture for an answer', 406, 'NOT_ACCEPTABLE', () => post({ headers: { accept: 'image/png' } })],
      ['too large a body', 413, 'PAYLOAD_TOO_LARGE', () => post({ body: JSON.stringify({ query: who, x: 'x'.repeat(1 << 20) }) })],
      ['a batch', 400, 'BAD_USER_INPUT', () => post({ body: JSON.stringify([{ query: who }]) })],
      ['not JSON', 400, 'BAD_USER_INPUT', () => post({ body: '{' })],
      ['not UTF-8', 400, 'BAD_USER_INPUT', () => post({ body: Buffer.from('{"query":"{__typename}","x":"\xff"}', 'latin1') })],
      ['an idempotency key twice', 400, 'BAD_USER_INPUT', () => post({ headers: { 'idempotency-key': ['a', 'b'] } })],
    ];
    for (const [what, status, word, request] of refused) {
      test(`${what}: ${status}`, async () => {
        const answer = await raw(w.server, request());
        assert.equal(answer.status, status, answer.text);
        assert.equal(code(answer), word);
        opened(answer);
        if (status === 405) assert.match(answer.headers.allow, /POST/);
      });
    }
    test('too large a body without a length: 413', async () => {
      const answer = await raw(w.server, post({ headers: { 'transfer-encoding': 'chunked' }, body: JSON.stringify({ query: who, x: 'x'.repeat(1 << 20) }) }));
      assert.equal(answer.status, 413, answer.text);
      assert.equal(code(answer), 'PAYLOAD_TOO_LARGE');
    });
    test('too large a header: 431', async () => {
      const answer = await raw(w.server, post({ headers: { 'x-large': 'x'.repeat(100_000) } }));
      assert.equal(answer.status, 431);
    });
    test('another path: 404, in JSON', async () => {
      const answer = await raw(w.server, { method: 'GET', path: '/nowhere' });
      assert.equal(answer.status, 404);
      assert.equal(code(answer), 'NOT_FOUND');
    });
    test('HEAD: what GET would have, without the body', async () => {
      const path = get('{ __typename }');
      const [head, full] = [await raw(w.server, { method: 'HEAD', path, headers: secret }), await raw(w.server, { method: 'GET', path, headers: secret })];
      assert.equal(head.status, 200);
      assert.equal(head.text, '');
      assert.equal(head.headers['content-length'], full.headers['content-length']);
      assert.equal(JSON.parse(full.text).data.__typename, 'Query');
    });
    test('OPTIONS: what a page of another origin may do', async () => {
      const answer = await raw(w.server, {
        method: 'OPTIONS',
        headers: { origin: 'https://app.example', 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization,content-type' },
      });
      assert.equal(answer.status, 204);
      opened(answer);
      const allowed = answer.headers['access-control-allow-headers'].toLowerCase().split(/, */);
      for (const name of ['authorization', 'content-type', 'idempotency-key', 'last-event-id', 'x-carillon-key', 'x-carillon-user', 'x-carillon-signature']) {
        assert.ok(allowed.includes(name), `a page may not send ${name}`);
      }
      assert.match(answer.headers['access-control-allow-methods'], /GET.*POST/);
      assert.ok(Number(answer.headers['access-control-max-age']) > 0);
    });
    test('a page of another origin reads answers and errors alike', async () => {
      for (const [credential, status] of [[secret, 200], [{}, 401]]) {
        const answer = await ask(w.server, { ...credential, origin: 'https://app.example' }, who);
        assert.equal(answer.status, status);
        opened(answer);
      }
    });
  });

  test(`many wrong credentials from one address are told to wait, and good ones are not, on ${setup}`, async () => {
    const w = await world(setup, { env: { MAX_WRONG_CREDENTIALS: '3' } });
    try {
      const answers = [];
      for (let i = 0; i < 5; i++) answers.push(await ask(w.server, { authorization: 'Bearer x' }, who));
      assert.deepEqual(answers.map((a) => a.status), [401, 401, 401, 429, 429]);
      const last = answers.at(-1);
      assert.equal(code(last), 'RATE_LIMITED');
      assert.ok(Number(last.headers['retry-after']) >= 1);
      opened(last);
      assert.equal((await ask(w.server, { authorization: w.secret }, who)).status, 200);
    } finally {
      await w.end();
    }
  });
}
