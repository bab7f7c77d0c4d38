// Engage's own packages, unmodified. Their host is a constant, so the module
// that they fetch with is given another one: it sends their requests here.
import { createRequire } from 'node:module';
import path from 'node:path';

const require = createRequire(import.meta.url);
const vendor = 'https://api.engage.so';

// The packages are loaded once, with what they fetch with: it follows along.
let target;

/** Sends what the packages fetch to a server, and returns the packages. */
export function engagePackages(server) {
  target = server;
  const core = require.resolve('@engage_so/core');
  const fetching = require.resolve('cross-fetch', { paths: [path.dirname(core)] });
  const real = require(fetching);
  require.cache[fetching].exports = (url, options) => {
    if (!url.startsWith(vendor)) throw new Error(`the package called ${url}`);
    return real(target.http + url.slice(vendor.length), options);
  };
  return { core: require('@engage_so/core'), node: require('@engage_so/node'), js: require('@engage_so/js') };
}

/** Makes an Engage credential: its key and its secret. */
export async function engageCredential(w) {
  const data = await w.query(w.app.secretKey, 'mutation { createCredential(input: {kind: ENGAGE}) { credential { id } secret userErrors { message } } }');
  return { key: data.createCredential.credential.id, secret: data.createCredential.secret };
}
