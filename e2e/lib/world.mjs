// An app with a server in front of it: what most suites stand on.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { createApp, query, startServer, storage, userToken } from './server.mjs';

/**
 * Starts a server of a set-up with an app of its own. env adds settings, or is
 * a function of the storage that gives them; app is what createApp takes.
 */
export async function world(setup, { app: options, env, users = [] } = {}) {
  const store = await storage(setup);
  let server;
  const end = async () => {
    const exit = await server?.stop();
    await store.drop();
    if (!server) return;
    const bad = faults(server.log());
    assert.deepEqual(bad, [], 'the server logged faults');
    assert.deepEqual(exit, { code: 0, signal: null }, 'the server did not end well');
  };
  try {
    const app = await createApp(store, options);
    server = await startServer(store, typeof env === 'function' ? env(store) : env);
    const secret = `Bearer ${app.secretKey}`;
    const w = {
      store,
      app,
      server,
      secret,
      /** A token of a user, for ttl (such as 2s). */
      token: (user, ttl) => userToken(store, user, { ttl }),
      query: (credential, text, variables) => query(server, credential, text, variables),
      identify: (identifier) => query(server, app.secretKey, identify, { identifier }),
      send: (to, title) => query(server, app.secretKey, send, { to: [to], title }),
      end,
    };
    for (const user of users) await w.identify(user);
    return w;
  } catch (err) {
    await end().catch(() => {});
    throw err;
  }
}

const identify = `mutation ($identifier: String!) { identifyUser(input: {identifier: $identifier}) { user { id } userErrors { message } } }`;
const send = `mutation ($to: [String!]!, $title: String!) {
  sendNotification(input: {to: {users: $to}, title: $title}) { send { id } userErrors { message } }
}`;

/** Lines of a server's log that tell of a bug. */
export function faults(log) {
  return log.split('\n').filter((line) => line.includes('"level":"ERROR"') || line.includes('panic') || line.includes('DATA RACE'));
}

/** A user token made by hand, to have any claim wrong. */
export function sign(app, claims, { secret = app.signingSecret, header = {} } = {}) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const now = Math.floor(Date.now() / 1000);
  const text = `${part({ alg: 'HS256', typ: 'JWT', ...header })}.${part({ apiKey: app.apiKey, sub: 'ada', exp: now + 600, ...claims })}`;
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
}

/** The signature of a user identifier in an environment whose user-auth is hmac. */
export function signature(app, user) {
  return createHmac('sha256', app.apiSecret).update(user).digest('base64');
}
