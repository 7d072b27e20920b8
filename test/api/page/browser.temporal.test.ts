/**
 * The status page as a person uses it: a real browser, the real API on real Temporal, and shards in this process.
 * `STATUS_PAGE_SHOTS=<folder>` keeps pictures of it.
 */
import { mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { keyDigest, loadConfig, type Config } from '../../../src/config';
import { startService, type Service } from '../../../src/service';
import { findChromium, openPage, startBrowser, type WatchedPage } from '../../support/browser';
import { FAST, type ClusterFixture } from '../../support/cluster-fixture';
import { SHARD_KEY } from '../../support/in-process-shard';
import { WRITING } from '../../support/shard-faults';
import { sharedTemporal } from '../../support/temporal';
import { useCluster } from '../../support/use-cluster';
import { waitFor } from '../../support/wait-for';

const KEYS = { admin: 'page-admin-key', read: 'page-read-key' } as const;
const SHOTS = process.env['STATUS_PAGE_SHOTS'] ?? '';
const PHONE = { viewport: { width: 360, height: 740 } };
const executable = findChromium();
const inBrowser = executable === null ? describe.skip : describe;

async function shoot(page: Page, name: string): Promise<void> {
  if (SHOTS === '') return;
  mkdirSync(SHOTS, { recursive: true });
  await page.screenshot({ path: join(SHOTS, `${name}.png`), fullPage: true });
}

inBrowser('the status page in a browser', () => {
  let cluster: ClusterFixture;
  let browser: Browser;
  let service: Service;
  let config: Config;
  const opened: WatchedPage[] = [];

  useCluster('page', { points: 3_000 }, (started) => {
    cluster = started;
  });
  beforeAll(async () => {
    browser = await startBrowser(executable ?? '');
  });
  afterAll(() => browser.close());
  beforeEach(async () => {
    const { address } = await sharedTemporal();
    const env = {
      QUIVER_REST_ADDR: '127.0.0.1:0',
      QUIVER_API_KEYS: 'replaced-below',
      QUIVER_CLUSTER_SHARD_KEY: SHARD_KEY,
      TEMPORAL_ADDRESS: address,
      TEMPORAL_CONFIG_FILE: join(tmpdir(), 'status-page-no-such-file.toml'),
      COORDINATOR_CLUSTER: cluster.name,
      COORDINATOR_DATA_DIR: join(tmpdir(), `status-page-${cluster.name}`),
    };
    const apiKeys = (['admin', 'read'] as const).map((role) => ({
      id: `the-${role}`,
      role,
      digest: keyDigest(KEYS[role]),
    }));
    config = { ...loadConfig(env), apiKeys, timings: { ...FAST, heartbeatMs: 10_000, attemptMs: 30_000 } };
    service = await startApi(config);
    config = { ...config, restAddress: { host: '127.0.0.1', port: Number(new URL(url()).port) } };
    await waitFor('the API is ready', async () => (await fetch(`${url()}/readyz`)).ok);
  });
  afterEach(async () => {
    const watched = opened.splice(0);
    await Promise.all(watched.map(({ page }) => page.context().close()));
    await service.stop();
    for (const { errors, strangers } of watched) expect({ errors, strangers }).toEqual({ errors: [], strangers: [] });
  });

  const startApi = (wanted: Config): Promise<Service> => startService('api', wanted, pino({ level: 'silent' }));
  const url = (): string => service.url ?? '';

  async function open(key: string, options: BrowserContextOptions = {}): Promise<Page> {
    const watched = await openPage(browser, url(), options);
    opened.push(watched);
    const { page } = watched;
    await page.getByLabel('A key of this coordinator').fill(key);
    await page.getByRole('button', { name: 'Log in' }).click();
    await page.getByRole('heading', { name: 'Shards' }).waitFor();
    return page;
  }

  async function call(path: string, method: string, body: unknown): Promise<void> {
    const headers = { Authorization: `Bearer ${KEYS.admin}`, 'Content-Type': 'application/json' };
    const answer = await fetch(`${url()}${path}`, { method, headers, body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(`${path}: ${await answer.text()}`);
  }

  const setMark = (points: number): Promise<void> =>
    call('/cluster/autoscale', 'PUT', { enabled: false, high_water_points: points, low_water_points: 200 });

  async function startGrow(page: Page): Promise<void> {
    await page.getByRole('button', { name: 'Grow…' }).click();
    await page.getByLabel('New shards').fill(cluster.joiner.url);
    await shoot(page, 'dialog');
    await page.getByRole('dialog').getByRole('button', { name: 'Grow', exact: true }).click();
    await page.getByRole('heading', { name: /^Running: grow · shard 2$/ }).waitFor();
  }

  it('starts a grow, shows its phases while it runs, and its end', async () => {
    await setMark(2_000);
    for (let n = 0; n < 3; n++) await call('/cluster/autoscale/evaluate', 'POST', {});
    const fault = cluster.joiner.faults.add({ match: WRITING, fault: { kind: 'slow', ms: 4_000 } });
    const page = await open(KEYS.admin);
    await page
      .getByRole('img', { name: /the mark is 2,000\. shard 0, owner: 1,\d{3} points; shard 1, owner: 1,\d{3} points$/ })
      .waitFor();
    await page.getByText('Nothing runs.').waitFor();
    await shoot(page, 'at-rest');

    await startGrow(page);
    await page.locator('#operation li[aria-current=step]', { hasText: 'copy' }).waitFor();
    await page.getByRole('progressbar', { name: 'Progress of the phase copy' }).waitFor();
    expect(await page.locator('#operation .time-line .phase').allTextContents()).toEqual(
      expect.arrayContaining(['preflight', 'announce', 'copy']),
    );
    expect(await page.getByRole('button', { name: 'Grow…' }).isDisabled()).toBe(true);
    expect(await page.locator('#shards .chip', { hasText: 'joining' }).count()).toBe(1);
    await shoot(page, 'running');
    fault.remove();

    await page.locator('#history li', { hasText: 'grow shard 2' }).getByText('succeeded', { exact: true }).waitFor();
    await page.getByText('Nothing runs.').waitFor();
    await page.locator('#shards').getByText(cluster.joiner.url).waitFor();
    expect(await cluster.misplaced('docs')).toEqual([]);
    await page.locator('#shards .facts', { hasText: 'owns 33 % of all ids' }).nth(2).waitFor();
    await page.locator('#history summary').first().click();
    await page.locator('#history .time-line li', { hasText: 'drop' }).waitFor();
    await shoot(page, 'after');
  });

  it('shows why an operation waits, and cancels it when that is confirmed', async () => {
    const page = await open(KEYS.admin);
    cluster.joiner.faults.add({ match: WRITING, fault: { kind: 'refuse' } });
    await startGrow(page);
    await page.locator('#operation .wait', { hasText: /^Waits for / }).waitFor();
    await shoot(page, 'waiting');
    await page.getByRole('button', { name: 'Cancel grow' }).click();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'hidden' });
    await page.getByRole('button', { name: 'Cancel grow' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Cancel the grow' }).click();
    cluster.joiner.faults.clear();
    await page.locator('#history li', { hasText: 'grow shard 2' }).getByText('cancelled', { exact: true }).waitFor();
    expect((await cluster.map()).shards.map(({ id }) => id)).toEqual([0, 1]);
  });

  it('keeps the dialog open and says why when a change is refused', async () => {
    const page = await open(KEYS.admin);
    await page.getByRole('button', { name: 'Grow…' }).click();
    await page.getByLabel('New shards').fill(cluster.donors[0]?.url ?? '');
    await page.getByRole('dialog').getByRole('button', { name: 'Grow', exact: true }).click();
    await page.getByRole('dialog').getByRole('alert').filter({ hasText: 'already' }).waitFor();
    await page.getByRole('button', { name: 'Back' }).click();
    await page.getByRole('button', { name: 'Drain shard 1' }).click();
    await page.getByRole('heading', { name: 'Drain shard 1' }).waitFor();
  });

  it('shows a read-only key everything and no button, also on a dark phone', async () => {
    await setMark(1_400);
    const page = await open(KEYS.read, { ...PHONE, colorScheme: 'dark' });
    await page.getByText('the-read · read').waitFor();
    await page.locator('#shards li').nth(1).waitFor();
    await page.locator('#autoscale').getByText('Would grow when a shard has more than 1,400 points').waitFor();
    expect(await page.locator('[data-do]').count()).toBe(0);
    expect(await page.evaluate('document.documentElement.scrollWidth <= window.innerWidth')).toBe(true);
    await shoot(page, 'phone-dark');
  });

  it('says that the API went away, and goes on by itself when it is back', async () => {
    const page = await open(KEYS.admin);
    await page.locator('#shards li').nth(1).waitFor();
    await service.stop();
    await page.locator('#away', { hasText: /^The coordinator does not answer\..*What you see is/ }).waitFor();
    await shoot(page, 'away');
    expect(await page.locator('#shards li').count()).toBe(2);
    service = await startApi(config);
    await page.locator('#away').waitFor({ state: 'hidden' });
    // The session outlives the process, because the key is the same.
    await call('/cluster/shards', 'POST', { primary_url: cluster.joiner.url });
    await page.locator('#shards').getByText(cluster.joiner.url).waitFor();
  });

  it('asks for the key again when the session is over, and takes a wrong one for what it is', async () => {
    const page = await open(KEYS.admin);
    await page.context().clearCookies();
    await page.getByText('Your session has ended. Log in again.').waitFor();
    await page.getByLabel('A key of this coordinator').fill('wrong');
    await page.keyboard.press('Enter');
    await page.getByText('This is not a key of this coordinator.').waitFor();
    await page.keyboard.type(KEYS.read);
    await page.keyboard.press('Enter');
    await page.locator('#shards li').nth(1).waitFor();
    await page.getByRole('button', { name: 'Log out' }).click();
    await page.getByRole('heading', { name: 'Log in' }).waitFor();
    expect(await page.context().cookies()).toEqual([]);
  });
});
