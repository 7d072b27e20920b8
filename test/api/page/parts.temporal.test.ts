/**
 * Parts of the status page that depend on what the coordinator offers: routers, events, a plan, a pause. The API is real and its client
 * is not; a server in front of it hides some routes and adds others. Temporal has no part in it: the tier is that of tests which start a process.
 */
import { createServer, request as forward, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text as textOf } from 'node:stream/consumers';
import type { Browser, Page } from 'playwright-core';
import { ApiServer, KEYS } from '../../support/api-server';
import { findChromium, openPage, startBrowser, type WatchedPage } from '../../support/browser';

const executable = findChromium();
const inBrowser = executable === null ? describe.skip : describe;

/** What is answered, or what answers. */
type Route = object | ((request: IncomingMessage, response: ServerResponse) => void);

/** What an older coordinator has not: here it is there only where a test adds it. */
const OPTIONAL = ['/cluster/routers', '/cluster/events', '/openapi.json'];

const AT = '2026-01-01T00:00:00.000Z';
const GROW = {
  id: 'grow-a',
  kind: 'grow',
  status: 'running',
  shard_ids: [2],
  phase: 'copy',
  phases: [
    { phase: 'announce', started_at: AT, ended_at: '2026-01-01T00:00:01.000Z', note: 'map version 2' },
    { phase: 'copy', started_at: '2026-01-01T00:00:01.000Z', ended_at: null, note: '' },
  ],
  points_done: 430,
  points_expected: 1_000,
  bytes_done: 2_048,
  bytes_expected: 4_096,
  rate_points_per_s: 86,
  eta_s: 7,
  waiting: null,
  attempts: 0,
  cancel_requested: false,
  point_of_no_return_passed: false,
  next: 'have the joiner build its indexes',
  started_at: AT,
  updated_at: AT,
  ended_at: null,
  outcome: null,
  sources: [],
  sources_left_out: 0,
  findings: null,
  paused: null as object | null,
  web_ui_url: 'http://ui.example/grow-a',
};

inBrowser('the status page on a coordinator', () => {
  let api: ApiServer;
  let browser: Browser;
  let front: Server;
  let routes: Map<string, Route>;
  let streams: ServerResponse[];
  /** Changes that the page made: method, path, body. */
  let changes: unknown[][];
  const opened: WatchedPage[] = [];

  beforeAll(async () => {
    browser = await startBrowser(executable ?? '');
  });
  afterAll(() => browser.close());
  beforeEach(async () => {
    api = await ApiServer.start();
    [routes, streams, changes] = [new Map(), [], []];
    front = createServer((request, response) => void answer(request, response));
    await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve));
  });
  afterEach(async () => {
    const watched = opened.splice(0);
    await Promise.all(watched.map(({ page }) => page.context().close()));
    front.closeAllConnections();
    await new Promise((resolve) => front.close(resolve));
    await api.close();
    for (const { errors, strangers } of watched) expect({ errors, strangers }).toEqual({ errors: [], strangers: [] });
  });

  const url = (): string => `http://127.0.0.1:${(front.address() as AddressInfo).port}`;

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = 'GET', headers } = request;
    const path = request.url ?? '/';
    const body = await textOf(request);
    if (method !== 'GET' && path.startsWith('/cluster/')) {
      changes.push([method, path, body === '' ? null : JSON.parse(body), headers['x-coordinator-page']]);
    }
    const route = routes.get(`${method} ${path}`);
    if (typeof route === 'function') return route(request, response);
    if (route !== undefined) {
      response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(route));
      return;
    }
    if (OPTIONAL.includes(path)) {
      const problem = {
        type: 'about:blank',
        title: 'Not Found',
        status: 404,
        code: 'UnknownRoute',
        detail: 'not here',
      };
      response.writeHead(404, { 'Content-Type': 'application/problem+json' }).end(JSON.stringify(problem));
      return;
    }
    const onward = forward(`${api.url}${path}`, { method, headers }, (answered) => {
      response.writeHead(answered.statusCode ?? 502, answered.headers);
      answered.pipe(response);
    });
    onward.end(body);
  }

  async function open(): Promise<Page> {
    const watched = await openPage(browser, url());
    opened.push(watched);
    await watched.page.getByLabel('A key of this coordinator').fill(KEYS.admin);
    await watched.page.getByRole('button', { name: 'Log in' }).click();
    await watched.page.getByRole('heading', { name: 'Shards' }).waitFor();
    return watched.page;
  }

  it('without routers, events or plans shows none of them', async () => {
    const page = await open();
    await page.locator('#shards li').nth(1).waitFor();
    await page.getByText('every 2 s').waitFor();
    expect(await page.locator('#routers').isVisible()).toBe(false);
    await page.getByRole('button', { name: 'Grow…' }).click();
    expect(await page.getByRole('button', { name: 'Show the plan' }).isVisible()).toBe(false);
  });

  it('with routers shows which version each holds, and who else polls the map', async () => {
    routes.set('GET /cluster/routers', {
      entries: ['http://r0:6333', 'http://r1:6333'],
      routers: [
        { url: 'http://r0:6333', entry: 'http://r0:6333', version: 1, lag: 0, error: null },
        { url: 'http://r1:6333', entry: 'http://r1:6333', version: null, lag: null, error: 'no answer within 2 s' },
      ],
      pollers: [
        { address: '10.0.0.9', key_id: 'key-1', last_poll: AT, version: 0, explained_by: null },
        { address: '10.0.0.1', key_id: 'key-1', last_poll: AT, version: 1, explained_by: 'http://r0:6333' },
      ],
    });
    const page = await open();
    const part = page.locator('#routers');
    await part.locator('li', { hasText: 'http://r0:6333' }).getByText('v1', { exact: true }).waitFor();
    await part.locator('li', { hasText: 'http://r1:6333' }).getByText('no answer within 2 s').waitFor();
    await part.locator('li', { hasText: '10.0.0.9 with key-1' }).waitFor();
    expect(await part.locator('li').count()).toBe(3);
  });

  it('with events is live, and shows what they tell at once', async () => {
    routes.set('GET /cluster/events', (_request, response) => {
      response.writeHead(200, { 'Content-Type': 'text/event-stream' }).write(': keep-alive\n\n');
      streams.push(response);
    });
    const page = await open();
    await page.getByText('live', { exact: true }).waitFor();
    const send = (event: string, data: object): void =>
      streams.forEach((each) => void each.write(`id: 1\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`));
    // No other route tells of them.
    send('operation', GROW);
    routes.set('GET /cluster/operations/grow-a', GROW);
    routes.set('GET /cluster/operations', { operations: [GROW] });
    await page.getByRole('heading', { name: 'Running: grow · shard 2' }).waitFor();
    await page.getByText('430 of 1,000 points · 2.0 KiB · 86 points/s · 7.0 s left in this phase').waitFor();
    expect(await page.title()).toBe('grow: copy · test · Quiver coordinator');
    send('notices', { notices: [notice('OfAnEvent', 'told by an event')] });
    await page.getByText('told by an event').waitFor();
    streams.forEach((each) => each.end());
    await page.getByText('live', { exact: true }).waitFor();
  });

  it('with a pause asks why and for how long, and resumes', async () => {
    routes.set('GET /cluster/operations', { operations: [GROW] });
    routes.set('GET /cluster/operations/grow-a', GROW);
    const paused = {
      ...GROW,
      limits: { max_bytes_per_s: 524_288, max_rows_per_s: null, delete_share: null },
      paused: { reason: 'peak', since: AT, until: null, by: 'admin', holds: true },
    };
    routes.set('POST /cluster/operations/grow-a/pause', (_request, response) => {
      routes.set('GET /cluster/operations/grow-a', paused);
      response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(paused));
    });
    routes.set('POST /cluster/operations/grow-a/resume', GROW);
    const page = await open();
    await page.getByRole('button', { name: 'Pause…' }).click();
    await page.getByLabel('Why').fill('peak');
    await page.getByLabel('For so many minutes').fill('30');
    await page.getByRole('dialog').getByRole('button', { name: 'Pause', exact: true }).click();
    await page.getByText('Paused by admin: peak').waitFor();
    await page.getByText('at most 512 KiB/s').waitFor();
    await page.getByRole('button', { name: 'Resume' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Resume' }).click();
    await page.getByRole('dialog').waitFor({ state: 'hidden' });
    const until = expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/) as unknown;
    expect(changes).toEqual([
      ['POST', '/cluster/operations/grow-a/pause', { reason: 'peak', until }, '1'],
      ['POST', '/cluster/operations/grow-a/resume', null, '1'],
    ]);
  });

  it('tells what slows the operation down', async () => {
    const text = 'A write to shard 2 takes 310 ms, the bound is 200 ms: fewer rows go at once';
    const cause = { shard_id: 2, by: 'write_latency', seen_ms: 310, bound_ms: 200, rest_share: null, text };
    const slowed = { ...GROW, slowed: [cause] };
    routes.set('GET /cluster/operations', { operations: [slowed] });
    routes.set('GET /cluster/operations/grow-a', slowed);
    const page = await open();
    await page.getByText('Slowed down:').waitFor();
    await page.getByText(`${text}.`).waitFor();
  });

  it('with plans shows one before anything is started', async () => {
    const parameters = [{ name: 'dry_run', in: 'query' }];
    routes.set('GET /openapi.json', { paths: { '/cluster/shards/grow': { post: { parameters } } } });
    routes.set('POST /cluster/shards/grow?dry_run=true', {
      dry_run: true,
      kind: 'grow',
      would: 'start',
      refusal: null,
      steps: [{ phase: 'copy', does: 'copy the slice to the joiner' }],
      shards: [],
      rows_to_move: 1_234,
      bytes_to_move: 5_000_000,
      duration_s: { least: 60, most: 90, basis: 'measured' },
      noticed_by: ['searches'],
    });
    const page = await open();
    await page.getByRole('button', { name: 'Grow…' }).click();
    await page.getByLabel('New shards').fill('http://s2:6333 http://s2b:6333\n\n http://s3:6333');
    await page.getByRole('button', { name: 'Show the plan' }).click();
    const plan = page.locator('.plan');
    await plan.getByText('1,234 points move (4.8 MiB); it takes 1 min 00 s to 1 min 30 s (measured)').waitFor();
    await plan.getByText('copy the slice to the joiner').waitFor();
    const shards = [
      { primary_url: 'http://s2:6333', replica_urls: ['http://s2b:6333'] },
      { primary_url: 'http://s3:6333', replica_urls: [] },
    ];
    expect(changes).toEqual([['POST', '/cluster/shards/grow?dry_run=true', { shards }, '1']]);
    expect(api.client.started).toEqual([]);
  });

  it('that does not list the phases of an old operation shows them when they are opened, and keeps them open', async () => {
    const ended = (id: string) => ({
      ...GROW,
      id,
      status: 'succeeded',
      ended_at: '2026-01-01T00:00:03.000Z',
      phases: [],
    });
    routes.set('GET /cluster/operations', { operations: [ended('grow-old')] });
    routes.set('GET /cluster/operations/grow-old', { ...ended('grow-old'), phases: GROW.phases });
    const page = await open();
    await page.locator('#history summary').click();
    const opened = page.locator('#history details[open]');
    await opened.locator('.phase', { hasText: 'announce' }).waitFor();
    routes.set('GET /cluster/operations', { operations: [ended('grow-new'), ended('grow-old')] });
    await page.locator('#history li', { hasText: 'grow-new' }).waitFor({ timeout: 20_000 });
    expect(await opened.count()).toBe(1);
    expect(await opened.textContent()).toContain('grow-old');
    await opened.locator('.phase', { hasText: 'announce' }).waitFor();
  });

  it('that tells markup shows it as text', async () => {
    const markup = '<img src="/x" onerror="document.title=1"><b>bold</b>';
    routes.set('GET /cluster/notices', { notices: [notice(markup, markup)] });
    routes.set('GET /cluster/operations', {
      operations: [{ ...GROW, web_ui_url: 'javascript:alert(1)', next: markup }],
    });
    const page = await open();
    await page.locator('#notices p', { hasText: markup }).waitFor();
    await page.locator('#operation', { hasText: markup }).waitFor();
    expect(await page.locator('main img, main b, main a').count()).toBe(0);
  });

  const notice = (code: string, message: string) => ({
    key: 'k',
    code,
    message,
    since: AT,
    last_seen: AT,
    operation_id: null,
  });
});
