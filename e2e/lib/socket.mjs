// A WebSocket with nothing between it and the test: what is sent is what the
// test says, well-formed or not.
import assert from 'node:assert/strict';
import WebSocket from 'ws';

const subprotocol = 'graphql-transport-ws';

/** Connects and waits until the socket is open. */
export async function dial(server, { protocol = subprotocol, headers = {} } = {}) {
  // The header by hand: the library itself would refuse an answer without a subprotocol.
  const ws =
    protocol === subprotocol
      ? new WebSocket(server.ws, protocol, { headers })
      : new WebSocket(server.ws, { headers: { ...headers, ...(protocol && { 'sec-websocket-protocol': protocol }) } });
  let opened;
  const messages = [];
  const waiting = [];
  ws.on('message', (data) => {
    const message = JSON.parse(data);
    const next = waiting.shift();
    if (next) next(message);
    else messages.push(message);
  });
  const closed = new Promise((done) => ws.on('close', (code, reason) => done({ code, reason: String(reason), took: Date.now() - opened })));
  /** Waits for the first of some promises, for so many seconds at most. */
  const within = async (seconds, what, ...promises) => {
    let timer;
    const late = new Promise((_, failed) => {
      timer = setTimeout(() => failed(new Error(`${what} within ${seconds} seconds`)), seconds * 1000);
    });
    try {
      return await Promise.race([...promises, late]);
    } finally {
      clearTimeout(timer);
    }
  };
  await new Promise((done, failed) => {
    ws.once('open', done);
    ws.once('error', failed);
  });
  opened = Date.now();
  ws.on('error', () => {}); // the close says it, too

  const socket = {
    ws,
    say: (message) => ws.send(typeof message === 'string' ? message : JSON.stringify(message)),
    /** How the socket ended, once it has. */
    ended: () => within(30, 'the socket was not closed', closed),
    /** The next message, or an error when the socket is closed or silent. */
    async hear() {
      if (messages.length) return messages.shift();
      const message = new Promise((done) => waiting.push(done));
      const end = closed.then(({ code, reason }) => assert.fail(`closed with ${code} ${reason}`));
      return within(10, 'no message', message, end);
    },
    /** Opens the protocol; the acknowledgement's payload. */
    async init(payload) {
      socket.say({ type: 'connection_init', payload });
      const { type, payload: ack } = await socket.hear();
      assert.equal(type, 'connection_ack');
      return ack;
    },
    subscribe: (id, query, variables) => socket.say({ type: 'subscribe', id, payload: { query, variables } }),
  };
  return socket;
}
