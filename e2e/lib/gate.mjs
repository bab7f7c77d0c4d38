// A way to a database that can be shut and opened again.
import net from 'node:net';

/** Listens for connections to a postgres:// URL and hands them on while it is open. */
export async function openGate(target) {
  const { hostname, port } = new URL(target);
  const ends = new Set();
  let open = true;
  const server = net.createServer((here) => {
    if (!open) return here.destroy();
    const there = net.connect(Number(port || 5432), hostname);
    for (const end of [here, there]) {
      ends.add(end);
      end.on('error', () => {}); // the close says it, too
      end.on('close', () => {
        ends.delete(end);
        here.destroy();
        there.destroy();
      });
    }
    here.pipe(there).pipe(here);
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  const cut = () => ends.forEach((end) => end.destroy());
  return {
    /** The same database by way of the gate. */
    url(direct) {
      const url = new URL(direct);
      url.host = `127.0.0.1:${server.address().port}`;
      return url.toString();
    },
    shut() {
      open = false;
      cut();
    },
    open() {
      open = true;
    },
    close() {
      cut();
      return new Promise((done) => server.close(done));
    },
  };
}
