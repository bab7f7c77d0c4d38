// The README's session as it stands there: the commands are taken from it and
// run by a shell, beside the server that it says to start.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { eventually, startServer, storage } from '../lib/server.mjs';

/** The commands of a section, one text a block. */
async function blocks(title) {
  const readme = await readFile(new URL('../../README.md', import.meta.url), 'utf8');
  const section = readme.split(/^## /m).find((s) => s.startsWith(`${title}\n`));
  assert.ok(section, `README.md has no section "${title}"`);
  return [...section.matchAll(/^```sh\n(.*?)^```$/gms)].map((m) => m[1]);
}

/** A shell in a folder; what it prints is in text. */
function shell(cwd) {
  const child = spawn('bash', [], { cwd, env: { PATH: process.env.PATH, HOME: cwd }, stdio: ['pipe', 'pipe', 'pipe'], detached: true });
  const sh = {
    text: '',
    /** Runs commands and gives what they print. */
    async run(commands) {
      const from = sh.text.length;
      child.stdin.write(`${commands}\necho; echo "end: $?"\n`);
      await eventually('the end of the commands', () => /^end: \d+$/m.test(sh.text.slice(from)));
      return sh.text.slice(from);
    },
    begin: (commands) => child.stdin.write(commands),
    end: () => process.kill(-child.pid, 'SIGKILL'),
  };
  for (const out of [child.stdout, child.stderr]) out.on('data', (b) => (sh.text += b));
  return sh;
}

describe("the README's session", () => {
  let store, server;
  const shells = [];
  before(async () => {
    store = await storage('embedded');
    server = await startServer({ env: { DATA_DIR: path.join(store.dir, 'data') } }, { DEMO: 'true' });
  });
  after(async () => {
    for (const sh of shells) sh.end();
    await server?.stop();
    await store?.drop();
  });

  test('identifies, sends, queries the inbox, and shows all of it live', async () => {
    const [identify, follow, send, read] = await blocks('A send, an inbox, a live update');
    const [first, second] = [shell(store.dir), shell(store.dir)];
    shells.push(first, second);
    assert.match(await first.run(identify), /"identifier":"ada","profile":{"firstName":"Ada"}},"created":true/);
    second.begin(follow);
    await eventually('the snapshot', () => second.text.includes('"unread":0'));
    assert.match(await first.run(send), /"status":"SENT"},"userErrors":\[\]/);
    await eventually('the event', () => second.text.includes('"unread":1},"added":[{"title":"Your order is on its way"'));
    const answers = await first.run(read);
    assert.match(answers, /"counters":{"total":1,"unseen":1,"unread":1},"nodes":\[{"title":"Your order is on its way","readAt":null}\]/);
    assert.match(answers, /"affected":1,"counters":{"unread":0}/);
    await eventually('the mark', () => second.text.includes('"marked":[{"as":"READ"}]'));
  });

  test('is what the server prints when it starts', async () => {
    for (const words of ['. ' + path.join(store.dir, 'data', 'demo.env'), 'identifyUser', 'sendNotification', 'subscription { inbox']) {
      assert.ok(server.log().includes(words), `it does not print ${words}:\n${server.log()}`);
    }
  });
});
