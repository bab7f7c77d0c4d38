// Server-sent events as bytes: what a client that is none of ours would see.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setups } from '../lib/server.mjs';
import { world } from '../lib/world.mjs';

const live = 'subscription ($after: InboxPosition) { inbox(after: $after) { position reset added { title } } }';

/** Opens a stream and reads it event by event. */
async function stream(server, credential, { query = live, variables, headers } = {}) {
  const stop = new AbortController();
  const res = await fetch(server.graphql, {
    method: 'POST',
    signal: stop.signal,
    headers: { 'content-type': 'application/json', accept: 'text/event-stream', authorization: `Bearer ${credential}`, ...headers },
    body: JSON.stringify({ query, variables }),
  });
  const reader = res.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  return {
    res,
    /** The next block: an event, or a comment; null at the end. */
    async next() {
      for (;;) {
        const end = text.indexOf('\n\n');
        if (end >= 0) {
          const block = text.slice(0, end);
          text = text.slice(end + 2);
          return block;
        }
        const { value, done } = await reader.read();
        if (done) return null;
        text += value;
      }
    },
    close: () => stop.abort(),
  };
}

/** An event's fields. */
function fields(block) {
  return Object.fromEntries(block.split('\n').map((line) => line.split(/: ?(.*)/s, 2)));
}

for (const setup of setups) {
  describe(`server-sent events on ${setup}`, { concurrency: 8 }, () => {
    let w, ada;
    before(async () => {
      w = await world(setup, { users: ['ada', 'grace'] });
      ada = await w.token('ada');
    });
    after(() => w?.end());

    test('say what they are, and open with a comment', async () => {
      const s = await stream(w.server, ada);
      assert.equal(s.res.status, 200);
      const header = (name) => s.res.headers.get(name);
      assert.equal(header('content-type'), 'text/event-stream; charset=utf-8');
      assert.match(header('cache-control'), /no-store/);
      assert.equal(header('x-accel-buffering'), 'no');
      assert.equal(header('access-control-allow-origin'), '*');
      assert.equal(await s.next(), ':');
      assert.equal(fields(await s.next()).event, 'next');
      s.close();
    });

    test('a query is one next and one complete', async () => {
      const s = await stream(w.server, ada, { query: '{ viewer { user { identifier } } }' });
      assert.equal(await s.next(), ':');
      assert.deepEqual(fields(await s.next()), { event: 'next', data: '{"data":{"viewer":{"user":{"identifier":"ada"}}}}' });
      assert.deepEqual(fields(await s.next()), { event: 'complete', data: '' });
      assert.equal(await s.next(), null);
    });

    test('what is wrong with a document is told in an event', async () => {
      const s = await stream(w.server, ada, { query: 'subscription { nobody }' });
      assert.equal(s.res.status, 200);
      await s.next();
      const { event, data } = fields(await s.next());
      assert.equal(event, 'next');
      assert.equal(JSON.parse(data).errors[0].extensions.code, 'GRAPHQL_VALIDATION_FAILED');
      assert.equal(fields(await s.next()).event, 'complete');
    });

    test('the id of an event is its position, and Last-Event-ID resumes after it and beats after', async () => {
      const token = await w.token('grace');
      const first = await stream(w.server, token);
      await first.next();
      const snapshot = fields(await first.next());
      const { position, reset } = JSON.parse(snapshot.data).data.inbox;
      assert.equal(reset, 'FIRST');
      assert.equal(snapshot.id, position);

      await w.send('grace', 'seen');
      const seen = fields(await first.next());
      assert.deepEqual(JSON.parse(seen.data).data.inbox.added, [{ title: 'seen' }]);
      first.close();
      await w.send('grace', 'missed');

      const again = await stream(w.server, token, { headers: { 'last-event-id': seen.id }, variables: { after: snapshot.id } });
      await again.next();
      const missed = fields(await again.next());
      assert.deepEqual(JSON.parse(missed.data).data.inbox, { position: missed.id, reset: null, added: [{ title: 'missed' }] });
      again.close();

      const older = await stream(w.server, token, { variables: { after: snapshot.id } });
      await older.next();
      assert.deepEqual(JSON.parse(fields(await older.next()).data).data.inbox.added, [{ title: 'missed' }, { title: 'seen' }]);
      older.close();
    });

    test('a position that is none begins anew, and says so', async () => {
      const s = await stream(w.server, ada, { headers: { 'last-event-id': 'nonsense' } });
      await s.next();
      const { data } = fields(await s.next());
      assert.equal(JSON.parse(data).data?.inbox.reset, 'UNKNOWN_POSITION', data);
      s.close();
    });
  });

  test(`an event stream ends when the server goes, without complete, on ${setup}`, async () => {
    const w = await world(setup, { users: ['ada'] });
    const s = await stream(w.server, await w.token('ada'));
    await s.next();
    await s.next();
    const [end] = await Promise.all([s.next(), w.end()]);
    assert.equal(end, null);
  });
}

// Side by side: it is long to wait for.
describe('quiet event streams', { concurrency: setups.length }, () => {
  for (const setup of setups) {
    test(`have a comment at least every twenty seconds, on ${setup}`, async () => {
      const w = await world(setup, { users: ['ada'] });
      const s = await stream(w.server, await w.token('ada'));
      await s.next();
      await s.next();
      const began = Date.now();
      assert.equal(await s.next(), ':');
      assert.ok(Date.now() - began < 20_000, `it took ${Date.now() - began} ms`);
      s.close();
      await w.end();
    });
  }
});
