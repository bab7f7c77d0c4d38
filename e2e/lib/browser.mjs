// A real Chromium, and what a page in it does besides what the test asks.
import { existsSync } from 'node:fs';
import path from 'node:path';
import { chromium } from 'playwright-core';

/** Where Chromium is: $CHROMIUM, or on the PATH under a usual name. */
function executable() {
  const folders = (process.env.PATH ?? '').split(path.delimiter);
  const names = ['chromium', 'chromium-browser', 'google-chrome'];
  const found = process.env.CHROMIUM ?? names.flatMap((name) => folders.map((f) => path.join(f, name))).find(existsSync);
  if (!found) throw new Error('no Chromium: `make e2e` installs it on Debian; elsewhere set CHROMIUM to one');
  return found;
}

export function launch() {
  return chromium.launch({
    executablePath: executable(),
    headless: true,
    args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
}

/** Opens an address in a browser profile of its own. */
export async function visit(browser, url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  const page = await context.newPage();
  const seen = { requests: [], sockets: [], complaints: [] };
  context.on('request', (r) => seen.requests.push(r.url()));
  page.on('websocket', (s) => seen.sockets.push(s.url()));
  page.on('console', (m) => ['error', 'warning'].includes(m.type()) && seen.complaints.push(`${m.type()}: ${m.text()}`));
  page.on('pageerror', (err) => seen.complaints.push(`uncaught: ${err.message}`));
  await page.exposeFunction('reportViolation', (text) => seen.complaints.push(`policy: ${text}`));
  await page.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (e) => window.reportViolation(`${e.violatedDirective} ${e.blockedURI}`));
  });
  await page.goto(url);
  return { page, seen };
}
