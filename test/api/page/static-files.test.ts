/** The files of the status page: what a browser is told with them, and what they must not hold. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ApiServer } from '../../support/api-server';

const FOLDER = join(__dirname, '../../../src/api/page/static');
const files = readdirSync(FOLDER);
const scripts = files.filter((name) => name.endsWith('.js'));
const read = (name: string): string => readFileSync(join(FOLDER, name), 'utf8');

describe('the files of the status page', () => {
  let api: ApiServer;
  beforeEach(async () => {
    api = await ApiServer.start();
  });
  afterEach(() => api.close());

  it.each(['/', ...files.map((name) => `/page/${name}`)])(
    '%s needs no key, and forbids all that is not from here',
    async (path) => {
      const { status, headers, text } = await api.call(path, { key: null });
      expect(status).toBe(200);
      expect(text).toBe(read(path === '/' ? 'index.html' : path.slice('/page/'.length)));
      expect(headers.get('content-security-policy')).toBe(
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
          "frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
      );
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('x-frame-options')).toBe('DENY');
      expect(headers.get('referrer-policy')).toBe('no-referrer');
    },
  );

  it.each([
    ['/', 'text/html; charset=utf-8'],
    ['/page/page.css', 'text/css; charset=utf-8'],
    ['/page/page.js', 'text/javascript; charset=utf-8'],
    ['/page/icon.svg', 'image/svg+xml'],
  ])('%s is %s', async (path, type) => {
    expect((await api.call(path, { key: null })).headers.get('content-type')).toBe(type);
    const head = await api.call(path, { key: null, method: 'HEAD' });
    expect([head.status, head.text]).toEqual([200, '']);
  });

  it('are asked for again each time, and sent again only when they changed', async () => {
    const first = await api.call('/page/page.js', { key: null });
    expect(first.headers.get('cache-control')).toBe('no-cache');
    const etag = first.headers.get('etag') ?? '';
    const again = await api.call('/page/page.js', { key: null, headers: { 'If-None-Match': `"other", ${etag}` } });
    expect([again.status, again.text, again.headers.get('etag')]).toEqual([304, '', etag]);
    expect((await api.call('/page/page.js', { key: null, headers: { 'If-None-Match': '"other"' } })).status).toBe(200);
    expect((await api.call('/page/page.css', { key: null })).headers.get('etag')).not.toBe(etag);
  });

  it.each([
    '/page',
    '/page/',
    '/page/gone.js',
    '/page/..%2findex.ts',
    '/page/%2e%2e%2f%2e%2e%2fapp.ts',
    '/page/static/page.js',
  ])('%s is no path', async (path) => {
    const { status, json } = await api.call(path, { key: null });
    expect([status, json['code']]).toEqual([404, 'UnknownRoute']);
  });

  it('take no other method', async () => {
    for (const path of ['/', '/page/page.js', '/page/session']) {
      const { status, headers } = await api.call(path, { method: 'POST', body: {} });
      expect([status, headers.get('allow')]).toEqual([405, 'GET, HEAD']);
    }
  });

  it('name only files that exist, and nothing outside', () => {
    const named = files.flatMap((name) => [...read(name).matchAll(/(?:src|href)="([^"]+)"|from '([^']+)'/g)]);
    const paths = named.map(([, path, module]) => path ?? module ?? '').filter((path) => !path.startsWith('#'));
    expect(paths.length).toBeGreaterThan(8);
    const missing = paths.filter((path) => !files.includes(path.replace(/^(?:\/page\/|\.\/)/, '')));
    expect(missing).toEqual([]);
  });

  it.each(scripts)('%s puts data into the document as text only', (name) => {
    expect(read(name)).not.toMatch(
      /innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|eval\(|new Function/,
    );
    // The policy would drop it, and only a browser would show that.
    expect(read(name)).not.toMatch(/setAttribute\('style'|style: |\.cssText/);
  });
});
