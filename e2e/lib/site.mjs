// A customer's web site: pages with the vendors' packages in them, of an
// origin of its own, opened in a real browser that reaches nobody else.
import http from 'node:http';
import { fileURLToPath } from 'node:url';
import esbuild from 'esbuild';

const here = fileURLToPath(new URL('..', import.meta.url));

/** Bundles a module for browsers, as any web app is. alias says which packages stand for others. */
async function bundle({ contents, alias = {} }) {
  const { outputFiles } = await esbuild.build({
    stdin: { contents, resolveDir: here, loader: 'jsx' },
    bundle: true,
    write: false,
    format: 'iife',
    platform: 'browser',
    jsx: 'automatic',
    alias,
    define: { 'process.env.NODE_ENV': '"production"', global: 'globalThis' },
    logLevel: 'error',
  });
  return outputFiles[0].text;
}

/**
 * Serves pages, by path, with a module each: its text, or what bundle takes.
 * worker is the site's own service worker.
 */
export async function startSite(pages, worker = '') {
  const scripts = Object.fromEntries(await Promise.all(Object.entries(pages).map(async ([at, page]) => [at, await bundle(page.contents ? page : { contents: page })])));
  const server = http.createServer((req, res) => {
    const at = new URL(req.url, 'http://site').pathname;
    const say = (type, text) => res.writeHead(200, { 'content-type': `${type}; charset=utf-8` }).end(text);
    if (at === '/service-worker.js') say('text/javascript', worker);
    else if (at.endsWith('.js') && scripts[at.slice(0, -3)]) say('text/javascript', scripts[at.slice(0, -3)]);
    else if (scripts[at]) say('text/html', `<!doctype html><html lang="en"><title>A shop</title><link rel="icon" href="data:,"><body><div id="app"></div><script src="${at}.js"></script>`);
    else res.writeHead(404).end();
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  const origin = `http://127.0.0.1:${server.address().port}`;
  return {
    origin,
    stop: () => {
      server.closeAllConnections();
      return new Promise((done) => server.close(done));
    },
  };
}

/**
 * Opens a page in a browser profile of its own. What it asks of anybody but the
 * site and the server is refused, and noted in strangers.
 */
export async function open(browser, site, at, server, options = {}) {
  const context = await browser.newContext({ viewport: { width: 900, height: 760 }, ...options });
  const strangers = [];
  const known = [new URL(site.origin).host, new URL(server.http).host];
  await context.route(
    (url) => !known.includes(url.host),
    (route) => {
      strangers.push(route.request().url());
      return route.abort();
    },
  );
  const complaints = [];
  const page = await context.newPage();
  page.on('pageerror', (err) => complaints.push(err.message));
  page.on('console', (m) => m.type() === 'error' && complaints.push(m.text()));
  context.setDefaultTimeout(10_000);
  await page.goto(site.origin + at);
  return { page, context, strangers, complaints };
}
