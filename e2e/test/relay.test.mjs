// Relay: the documents of relay/ compiled against this tree's schema, and run
// by relay-runtime on both set-ups.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { createClient } from 'graphql-ws';
import relay from 'relay-runtime';
import WebSocket from 'ws';
import { eventually, setups } from '../lib/server.mjs';
import { world } from '../lib/world.mjs';

const {
  ConnectionHandler,
  Environment,
  Network,
  Observable,
  RecordSource,
  Store,
  commitMutation,
  createOperationDescriptor,
  fetchQuery,
  getSingularSelector,
  requestSubscription,
} = relay;

const at = (name) => fileURLToPath(new URL(name, import.meta.url));

/** Compiles relay/ aside and returns where, with how to get at an artifact. */
async function compile() {
  const dir = await mkdtemp(path.join(os.tmpdir(), 'carillon-relay-'));
  await cp(at('../relay'), dir, { recursive: true });
  await cp(at('../../schema.graphqls'), path.join(dir, 'schema.graphql')); // the name that the compiler wants
  await mkdir(path.join(dir, '__generated__'));
  await promisify(execFile)(process.execPath, [at('../node_modules/relay-compiler/cli.js'), 'relay.config.json'], { cwd: dir });
  const require = createRequire(path.join(dir, '__generated__/'));
  return { dir, artifact: (name) => require(`./${name}.graphql`) };
}

/** An environment as Relay's documentation has it. */
function connect(server, authorization) {
  const socket = createClient({ url: server.ws, webSocketImpl: WebSocket, connectionParams: { authorization } });
  const request = async ({ text }, variables) => {
    const res = await fetch(server.graphql, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/graphql-response+json', authorization },
      body: JSON.stringify({ query: text, variables }),
    });
    return res.json();
  };
  const subscribe = ({ text, name }, variables) =>
    Observable.create((sink) => socket.subscribe({ query: text, operationName: name, variables }, sink));
  const environment = new Environment({ network: Network.create(request, subscribe), store: new Store(new RecordSource()) });
  return { environment, end: () => socket.dispose() };
}

describe('Relay', () => {
  let compiled, artifact;
  before(async () => {
    compiled = await compile();
    artifact = compiled.artifact;
  });
  after(() => compiled && rm(compiled.dir, { recursive: true, force: true }));

  for (const setup of setups) {
    describe(`on ${setup}`, () => {
      let w, own;
      before(async () => {
        w = await world(setup, { users: ['ada'] });
        own = connect(w.server, `Bearer ${await w.token('ada')}`);
      });
      after(async () => {
        own?.end();
        await w?.end();
      });

      test('queries, pages, mutates, and folds a subscription into the same records', async () => {
        const { environment } = own;
        const ask = (query, variables) => fetchQuery(environment, query, variables).toPromise();
        for (const title of ['one', 'two', 'three']) await w.send('ada', title);

        // A query with a fragment whose connection has two of three.
        const { viewer } = await ask(artifact('inboxQuery'), { count: 2 });
        const operation = createOperationDescriptor(artifact('inboxQuery'), { count: 2 });
        environment.retain(operation);
        const user = viewer.user.__id;
        const list = () => {
          const selector = getSingularSelector(artifact('inbox_list'), environment.lookup(operation.fragment).data.viewer.user);
          return environment.lookup(selector).data;
        };
        const items = () =>
          list().inbox.edges.map(({ node }) => environment.lookup(getSingularSelector(artifact('inbox_item'), node)).data);
        const titles = () => items().map((n) => n.title);
        assert.equal(list().identifier, 'ada');
        assert.deepEqual(titles(), ['three', 'two']);
        assert.equal(list().inbox.pageInfo.hasNextPage, true);

        // The page after it, by the user's id: Relay asks `node`.
        await ask(artifact('inboxPaginationQuery'), { id: list().id, count: 2, cursor: list().inbox.pageInfo.endCursor });
        assert.deepEqual(titles(), ['three', 'two', 'one']);
        assert.equal(list().inbox.pageInfo.hasNextPage, false);
        assert.deepEqual(list().inbox.counters, { total: 3, unread: 3 });

        // What comes later goes in front, and what is new is not told twice.
        const connections = [ConnectionHandler.getConnectionID(user, 'inbox_inbox')];
        const events = [];
        const heard = requestSubscription(environment, {
          subscription: artifact('inboxSubscription'),
          variables: { after: list().inbox.position, connections },
          onNext: (data) => events.push(data.inbox),
          onError: (err) => events.push(err),
        });
        await w.send('ada', 'four');
        await eventually('the new item', () => titles().length === 4);
        assert.deepEqual(titles(), ['four', 'three', 'two', 'one']);

        const id = list().inbox.edges[1].node.id;
        const { markNotifications } = await commit(environment, artifact('inboxMarkMutation'), { input: { ids: [id], as: 'READ' } });
        assert.deepEqual(markNotifications.userErrors, []);
        assert.ok(items()[1].readAt, 'the mutation did not change the record');

        // Read elsewhere and deleted elsewhere, seen here.
        const [first, , third] = list().inbox.edges.map(({ node }) => node.id);
        await w.query(w.app.secretKey, 'mutation ($id: ID!) { markNotifications(input: { ids: [$id], as: READ, user: "ada" }) { userErrors { message } } }', { id: third });
        await eventually('the mark made elsewhere', () => items()[2].readAt);
        await w.query(w.app.secretKey, 'mutation ($id: ID!) { deleteNotifications(input: { ids: [$id], user: "ada" }) { deleted } }', { id: first });
        await eventually('the deletion made elsewhere', () => titles().length === 3);
        assert.deepEqual(titles(), ['three', 'two', 'one']);

        const { deleteNotifications } = await commit(environment, artifact('inboxDeleteMutation'), { input: { ids: [id] }, connections });
        assert.equal(deleteNotifications.deleted.length, 1);
        assert.deepEqual(titles(), ['two', 'one']);
        await eventually('all of it in the stream', () => events.at(-1).counters?.unread === 1);
        heard.dispose();
      });
    });
  }
});

function commit(environment, mutation, variables) {
  return new Promise((onCompleted, onError) => {
    commitMutation(environment, {
      mutation,
      variables,
      onError,
      onCompleted: (data, errors) => (errors ? onError(new Error(JSON.stringify(errors))) : onCompleted(data)),
    });
  });
}
