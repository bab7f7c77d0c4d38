// Starts the real binary the way an operator would, and stops it.
import { spawn, execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';

const run = promisify(execFile);

const binary = process.env.CARILLON_BIN;
if (!binary) throw new Error('CARILLON_BIN must name the built binary; `make e2e` builds it and sets it');

/** The two ways to run. In CI both must be there; elsewhere what is missing is said, not hidden. */
export const setups = ['embedded', 'production'];

function need(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: \`make e2e\` starts PostgreSQL and Redis and sets it`);
  return value;
}

export async function freePort() {
  const probe = net.createServer();
  await new Promise((done) => probe.listen(0, '127.0.0.1', done));
  const { port } = probe.address();
  await new Promise((done) => probe.close(done));
  return port;
}

/** Calls check until it gives something, for at most ten seconds. */
export async function eventually(what, check) {
  const deadline = Date.now() + 10_000;
  let last;
  while (Date.now() < deadline) {
    try {
      const value = await check();
      if (value) return value;
    } catch (err) {
      last = err;
    }
    await new Promise((done) => setTimeout(done, 25));
  }
  throw new Error(`${what}: not within ten seconds`, { cause: last });
}

/** Storage for one or more servers: settings for the environment, and how to be rid of it. */
export async function storage(setup) {
  const dir = await mkdtemp(path.join(os.tmpdir(), 'carillon-e2e-'));
  const drop = () => rm(dir, { recursive: true, force: true });
  if (setup === 'embedded') return { setup, env: { DATA_DIR: dir }, dir, drop };

  const schema = 'e2e_' + randomBytes(6).toString('hex');
  const admin = new pg.Client(need('TEST_POSTGRES_URL'));
  await admin.connect();
  await admin.query(`create schema ${schema}`);
  const url = new URL(need('TEST_POSTGRES_URL'));
  url.searchParams.set('search_path', schema);
  return {
    setup,
    dir,
    env: { DATA_DIR: dir, DATABASE_URL: url.toString(), REDIS_URL: need('TEST_REDIS_URL') },
    async drop() {
      await admin.query(`drop schema ${schema} cascade`);
      await admin.end();
      await drop();
    },
  };
}

/** Runs one command of the operator's command line and returns what it prints. */
export async function cli(store, ...args) {
  const { stdout } = await run(binary, args, { env: { PATH: process.env.PATH, ...store.env } });
  return stdout;
}

/** Makes an environment; what it returns is the command's JSON. */
export async function createApp(store, { name = 'shop', environment = 'test', userAuth = 'token', ...more } = {}) {
  const flags = Object.entries(more).flatMap(([flag, value]) => [`--${flag}`, value]);
  return JSON.parse(await cli(store, 'app', 'create', '--name', name, '--environment', environment, '--user-auth', userAuth, ...flags, '--json'));
}

/** A user token; ttl is how long it counts, such as 2s. */
export async function userToken(store, user, { app = 'shop', environment = 'test', ttl = '12h' } = {}) {
  return (await cli(store, 'token', '--app', app, '--environment', environment, '--user', user, '--ttl', ttl)).trim();
}

// No server outlives a suite, also one that the test runner gives up on.
const running = new Set();
process.once('exit', () => running.forEach((child) => child.kill('SIGKILL')));
process.once('SIGTERM', () => process.exit(1));

/** Starts a server and waits until it is ready. */
export async function startServer(store, env = {}) {
  const port = env.ADDR ? Number(env.ADDR.split(':').pop()) : await freePort();
  const child = spawn(binary, ['serve'], {
    env: { PATH: process.env.PATH, ADDR: `127.0.0.1:${port}`, METRICS_ADDR: 'off', DEMO: 'false', ...store.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  child.stdout.on('data', (b) => (log += b));
  child.stderr.on('data', (b) => (log += b));
  running.add(child);
  const exited = new Promise((done) => child.once('exit', (code, signal) => done({ code, signal })));
  exited.then(() => running.delete(child));
  const http = `http://127.0.0.1:${port}`;
  const server = {
    http,
    graphql: `${http}/graphql`,
    ws: `ws://127.0.0.1:${port}/graphql`,
    pid: child.pid,
    log: () => log,
    exited,
    async stop(signal = 'SIGTERM') {
      child.kill(signal);
      return exited;
    },
  };
  try {
    await eventually('the server to be ready', async () => {
      if (child.exitCode !== null) throw new Error(`the server ended:\n${log}`);
      return (await fetch(`${http}/readyz`)).ok;
    });
  } catch (err) {
    child.kill('SIGKILL');
    throw new Error(`${err.message}\n${log}`, { cause: err.cause });
  }
  return server;
}

/** One GraphQL request over HTTP; throws when it has errors at the top. */
export async function query(server, credential, text, variables = {}) {
  const res = await fetch(server.graphql, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${credential}` },
    body: JSON.stringify({ query: text, variables }),
  });
  const body = await res.json();
  if (body.errors) throw new Error(JSON.stringify(body.errors));
  return body.data;
}
