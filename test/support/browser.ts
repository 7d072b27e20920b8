/** A real browser for the tests of the status page, where the machine has one. */
import { existsSync } from 'node:fs';
import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core';

const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

/** Null, and a line that says so, where there is no Chromium. */
export function findChromium(): string | null {
  const found = PLACES.find((path) => existsSync(path)) ?? null;
  if (found === null) {
    process.stderr.write(`no Chromium (${PLACES.join(', ')}): the tests of the status page in a browser are skipped\n`);
  }
  return found;
}

export function startBrowser(executablePath: string): Promise<Browser> {
  return chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] });
}

/** A page that remembers what it must not have done. */
export interface WatchedPage {
  readonly page: Page;
  /** What its console calls an error, except that an answer was one, or did not come. */
  readonly errors: string[];
  /** Requests to anywhere else. */
  readonly strangers: string[];
}

export async function openPage(
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {},
): Promise<WatchedPage> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  const [errors, strangers]: [string[], string[]] = [[], []];
  page.on('pageerror', (error) => errors.push(String(error)));
  page.on('console', (message) => {
    const isOfNetwork = /^Failed to load resource/.test(message.text());
    if (message.type() === 'error' && !isOfNetwork) errors.push(message.text());
  });
  page.on('request', (request) => {
    if (!request.url().startsWith(url) && !request.url().startsWith('data:')) strangers.push(request.url());
  });
  await page.goto(url);
  return { page, errors, strangers };
}
