/** Each verb against the real API on hand-written dependencies: what it asks for, what it prints, how it ends. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ClientError } from '../../src/client/calls/errors';
import { operationViewSchema } from '../../src/wire/coordinator-api';
import { shardsViewSchema } from '../../src/wire/shards';
import { ApiServer, KEYS, STATE } from '../support/api-server';
import { cli } from '../support/cli-run';
import { GROW, GROWN, recordOf } from '../support/an-operation';

let api: ApiServer;
beforeEach(async () => {
  api = await ApiServer.start();
  api.client.state = { ...STATE, operations: [recordOf()] };
  api.client.queryProgress = () => Promise.resolve(GROW);
  api.client.describeOperation = () =>
    Promise.resolve({ isRunning: true, temporalStatus: 'RUNNING', failingTask: null });
});
afterEach(() => api.close());

const run = (...words: string[]) => cli(words, { url: api.url });
const json = async (...words: string[]) => {
  const { code, stdout, stderr } = await run(...words, '--output', 'json');
  expect({ code, words }).toEqual({ code: 0, words });
  return { value: JSON.parse(stdout), stderr };
};

describe('status, map and shards', () => {
  it('show the cluster at a glance', async () => {
    const { code, stdout, stderr } = await run('status');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^coordinator +http:\/\/127/m);
    expect(stdout).toMatch(/^shards +2, all answer$/m);
    expect(stdout).toMatch(/^rows +6$/m);
    expect(stdout).toMatch(/^grow-k +running +copy +2 +10 /m);
    expect((await json('status')).value).toMatchObject({
      version: 1,
      shards: [{ id: 0 }, { id: 1 }],
      health: { '0': true, '1': true },
      operation: { id: 'grow-k' },
      notices: [],
    });
  });

  it('show the map as routers read it', async () => {
    expect((await json('map')).value).toEqual((await api.call('/cluster/map')).json);
    expect((await run('map')).stdout).toBe(
      [
        'version 1',
        '',
        'SHARD  ROLE   PRIMARY         REPLICAS',
        '0      owner  http://s0:6333  -',
        '1      owner  http://s1:6333  -',
        '',
      ].join('\n'),
    );
  });

  it('ask for the map, and are taken for no router', async () => {
    expect((await run('map')).code).toBe(0);
    expect(api.pollers.list()).toEqual([]);
    await api.call('/cluster/map');
    expect(api.pollers.list()).toHaveLength(1);
  });

  it('show every shard, and a dash for rows that are not known', async () => {
    api.marks.down.add('http://s1:6333');
    expect((await run('shards')).stdout).toMatch(/^0 +owner +3 .*\n1 +owner +- /m);
    shardsViewSchema.parse((await json('shards')).value);
  });

  it('take a key from a file, and the file from the command line', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'cli-'));
    const file = join(dir, 'key');
    writeFileSync(file, `\n${KEYS.read}\nanother\n`);
    expect(await cli(['map', '--key-file', file], { url: api.url, key: null })).toMatchObject({ code: 0 });
    const environment = { COORDINATOR_KEY_FILE: file };
    expect(await cli(['map'], { url: api.url, key: null, environment })).toMatchObject({ code: 0 });
    expect(await cli(['map'], { url: api.url, environment })).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('got both'),
    });
    rmSync(dir, { recursive: true });
  });
});

describe('grow and drain', () => {
  it('start a grow, print the operation and say how to go on', async () => {
    const words = ['grow', 'http://s2:6333,http://s2b:6333', '--idempotency-key', 'k', '--accept-stop', '2.5'];
    const { value, stderr } = await json(...words);
    expect(operationViewSchema.parse(value)).toMatchObject({ id: 'grow-k', phase: 'copy' });
    expect(stderr).toContain('quiver-coordinator op watch grow-k');
    expect(api.client.started).toMatchObject([
      {
        kind: 'grow',
        input: {
          key: 'k',
          request: {
            shards: [{ primary_url: 'http://s2:6333', replica_urls: ['http://s2b:6333'] }],
            allowNonempty: false,
            acceptStopMs: 2_500,
          },
        },
      },
    ]);
  });

  it('start one grow by several shards', async () => {
    await json('grow', 'http://s2:6333', 'http://s3:6333');
    expect(api.client.started[0]?.input.request).toMatchObject({
      shards: [{ primary_url: 'http://s2:6333' }, { primary_url: 'http://s3:6333' }],
    });
  });

  it('find the operation again when the answer to its start was lost', async () => {
    api.client.startOperation = () =>
      Promise.reject(new ClientError('StartUnanswered', 'no answer', { about: 'grow-k' }));
    expect(await run('grow', 'http://s2:6333', '--idempotency-key', 'k')).toMatchObject({ code: 0 });
    api.client.queryProgress = () => Promise.reject(new ClientError('UnknownOperation', 'none'));
    api.client.state = STATE;
    expect(await run('grow', 'http://s2:6333', '--idempotency-key', 'k')).toMatchObject({ code: 3 });
  });

  it('print nothing but progress on the standard error, and the end on the standard output, with --wait', async () => {
    api.client.queryProgress = () => Promise.resolve(GROWN);
    const { code, stdout } = await run('grow', 'http://s2:6333', '--idempotency-key', 'k', '--wait');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^outcome +shard 2 joined$/m);
  });

  it('do not start anything as a dry run on a coordinator that knows none', async () => {
    // The route of the limits came with the dry runs: without it, the query would be ignored.
    const words = ['grow', 'http://s2:6333', '--dry-run'];
    const { code } = await cli(words, { url: `${api.url}/older` });
    expect(code).toBe(1);
    expect(api.client.started).toEqual([]);
  });

  it('ask before a drain, and change nothing without a terminal', async () => {
    const without = await run('drain', '1');
    expect(without.code).toBe(2);
    expect(without.stderr).toMatch(/Expected --yes.*nothing was changed/);
    const no = await cli(['drain', '1'], { url: api.url, isTerminal: true, typed: 'n\n' });
    expect(no.code).toBe(1);
    expect(no.stderr).toContain('remove it from the map? [y/N]');
    expect(api.client.started).toEqual([]);
    const yes = await cli(['drain', '1'], { url: api.url, isTerminal: true, typed: 'y\n' });
    expect(yes.code).toBe(0);
    expect(await run('drain', '1', '--yes')).toMatchObject({ code: 0 });
    expect(api.client.started.map(({ kind }) => kind)).toEqual(['drain', 'drain']);
  });

  it.each([
    ['drain 1', 'drain'],
    ['repair', 'repair'],
    ['grow http://s2:6333 --allow-nonempty', 'grow'],
    ['op cancel grow-k', ''],
    ['restore --last-known', ''],
    ['identities remove', ''],
    ['standbys remove http://s9:6333', ''],
    ['routers remove http://r1:6333', ''],
    ['routers set http://r1:6333', ''],
  ])('end with the code of usage without a terminal and without --yes: %s', async (line) => {
    const { code, stdout } = await run(...line.split(' '));
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(api.client.started).toEqual([]);
    expect(api.client.transitions).toEqual([]);
  });
});

describe('check and repair', () => {
  it('ask for what the options say', async () => {
    const targets = ['--collection', 'a', '--collection', 'b', '--leftover', 'http://s9:6333'];
    await json('check', ...targets);
    await json('repair', ...targets, '--prefer', '1', '--prefer', 'http://s9:6333', '--yes');
    const wanted = { collections: ['a', 'b'], leftovers: [{ primary_url: 'http://s9:6333', replica_urls: [] }] };
    expect(api.client.started.map(({ kind, input }) => ({ kind, request: input.request }))).toEqual([
      { kind: 'check', request: { ...wanted, prefer: [] } },
      { kind: 'repair', request: { ...wanted, prefer: ['1', 'http://s9:6333'] } },
    ]);
  });
});

describe('op', () => {
  it('lists and shows operations, and takes the running one without an id', async () => {
    expect((await json('op', 'list')).value.operations).toHaveLength(1);
    expect((await run('op', 'list')).stdout).toMatch(/^OPERATION +STATUS[^]*\ngrow-k +running +copy/);
    expect((await json('op', 'show')).value).toEqual((await json('op', 'show', 'grow-k')).value);
    const { stdout } = await run('op', 'show');
    expect(stdout).toMatch(/^rows +10 of 40$/m);
    expect(stdout).toMatch(/^prepare +1s +2 collections$/m);
    api.client.state = STATE;
    expect(await run('op', 'watch')).toMatchObject({ code: 1, stderr: expect.stringContaining('no operation runs') });
  });

  it('cancels, and with --wait ends when the undo is done', async () => {
    const cancelled: string[] = [];
    api.client.cancelOperation = (id) => {
      cancelled.push(id);
      return Promise.resolve({ ...GROW, cancelRequested: true });
    };
    const { code, stdout } = await run('op', 'cancel', 'grow-k', '--yes');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^status +cancelling$/m);
    api.client.queryProgress = () => Promise.resolve({ ...GROWN, status: 'cancelled' });
    expect(await run('op', 'cancel', 'grow-k', '--yes', '--wait')).toMatchObject({ code: 0 });
    api.client.queryProgress = () => Promise.resolve(GROWN);
    expect(await run('op', 'cancel', 'grow-k', '--yes', '--wait')).toMatchObject({ code: 1 });
    expect(cancelled).toEqual(['grow-k', 'grow-k', 'grow-k']);
  });
});

describe('autoscale and standbys', () => {
  it('change some fields of the policy and keep the others', async () => {
    await json('autoscale', 'set', 'high_water_points=1000', 'enabled=true');
    const { policy } = (await json('autoscale')).value;
    expect(api.client.transitions).toEqual([
      {
        type: 'replacePolicy',
        policy: {
          ...STATE.autoscale.policy,
          enabled: true,
          highWaterPoints: 1_000,
        },
      },
    ]);
    expect(policy).toMatchObject({ enabled: STATE.autoscale.policy.enabled });
    expect((await run('autoscale', 'set', 'high_water_points=many')).code).toBe(2);
  });

  it('show the decision, and decide without acting', async () => {
    expect((await json('autoscale', 'evaluate', '--dry-run')).value).toMatchObject({ dry_run: true });
    expect((await run('autoscale', 'evaluate', '--yes')).stdout).toMatch(/^decided +below_mark$/m);
    expect(api.autoscale.asked.filter((each) => each.startsWith('evaluate'))).toEqual([
      'evaluate true',
      'evaluate false',
    ]);
  });

  it('add and remove standbys', async () => {
    expect((await run('standbys')).stdout).toBe('no standbys\n');
    expect((await json('standbys', 'add', 'http://s9:6333')).value).toEqual({ standbys: [] });
    expect((await run('standbys', 'remove', 'http://s9:6333', '--yes')).code).toBe(0);
    expect(api.client.transitions).toMatchObject([
      { type: 'addStandby', address: { primary_url: 'http://s9:6333' } },
      { type: 'removeStandby', primaryUrl: 'http://s9:6333' },
    ]);
  });
});

describe('restore and identities', () => {
  it('restore from the last known state, or from a file', async () => {
    const given: unknown[] = [];
    api.restoreCluster = (state) => {
      given.push(state);
      return Promise.resolve({ state: STATE, source: 'request', note: 'look at the routers' });
    };
    const dir = mkdtempSync(join(tmpdir(), 'cli-'));
    const file = join(dir, 'state.json');
    const map = { version: 4, shards: [{ id: 0, primary_url: 'http://s0:6333' }] };
    writeFileSync(file, JSON.stringify({ next_id: 1, map }));
    const first = await run('restore', '--last-known', '--yes');
    expect(first).toMatchObject({ code: 0, stderr: 'look at the routers\n' });
    expect((await run('restore', '--state', file, '--yes')).code).toBe(0);
    expect(given).toMatchObject([null, { next_id: 1, map: { version: 4 } }]);
    writeFileSync(file, JSON.stringify({ next_id: 0, map }));
    expect((await run('restore', '--state', file, '--yes')).stderr).toContain('must be above every shard id');
    rmSync(dir, { recursive: true });
  });

  it('take the marks off, and adopt the shards again', async () => {
    expect(await run('identities', 'remove', '--yes')).toMatchObject({ code: 0, stdout: 'the marks are off\n' });
    expect(await run('identities', 'adopt')).toMatchObject({ code: 0 });
    expect(api.client.transitions.map(({ type }) => type)).toEqual(['removeIdentities', 'adoptIdentities']);
  });
});
