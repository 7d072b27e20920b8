import { pino } from 'pino';
import { seedState } from '../../../src/domain/cluster-state';
import { witnessedPart, type WitnessedState } from '../../../src/domain/witnessed';
import { ClusterTraces, type AskRouter } from '../../../src/client/cluster/survey';
import type { FoundRouters } from '../../../src/domain/router-entries';
import type { Witness } from '../../../src/client/cluster/witness';
import type { FileReading } from '../../../src/client/cluster/witness-file';
import type { WitnessRecord } from '../../../src/contract/messages';

const SEED = witnessedPart(seedState([{ primary_url: 'http://s0:6333', replica_urls: [] }]));
const version = (n: number, nextId = 1): WitnessedState => ({ ...SEED, map: { ...SEED.map, version: n }, nextId });

interface Left {
  record?: WitnessRecord | null | Error;
  exists?: boolean;
  file?: FileReading;
  /** Routers r0, r1, … with the versions that they hold, or with the reason why they don't say. */
  routers?: readonly (number | Error)[];
}

let logged: Record<string, unknown>[];
let asks: number;
beforeEach(() => {
  logged = [];
  asks = 0;
});

function traces(
  { record = null, exists = false, file = { kind: 'absent' }, routers = [] }: Left,
  found: FoundRouters | null = null,
): ClusterTraces {
  const witness = {
    workflowId: 'published/c',
    file: { path: '/data/p.json' },
    readRecord: () => (record instanceof Error ? Promise.reject(record) : Promise.resolve(record)),
    exists: () => Promise.resolve(exists),
    readFile: () => Promise.resolve(file),
  } as unknown as Witness;
  const routerUrls = routers.map((_held, index) => `http://r${index}`);
  const askRouter: AskRouter = async (url) => {
    asks += 1;
    const held = routers[routerUrls.indexOf(url)];
    if (typeof held === 'number') return { version: held, map: version(held).map };
    throw held ?? new Error(`${url} was not to be asked`);
  };
  const logger = pino({}, { write: (line: string) => void logged.push(JSON.parse(line) as Record<string, unknown>) });
  const given = found === null ? routerUrls : () => Promise.resolve(found);
  return new ClusterTraces({ namespace: 'ns', cluster: 'c', witness, routerUrls: given, askRouter, logger });
}

describe('a cluster about to be created', () => {
  it('is not lost when it is unknown, or known only as it would begin', async () => {
    expect(await traces({}).lostSince(version(3))).toBeNull();
    const known: FileReading = { kind: 'known', state: version(3), lineage: 'l' };
    expect(await traces({ file: known, routers: [0, 3] }).lostSince(version(3))).toBeNull();
    expect(logged).toEqual([]);
  });

  it('is lost when one router holds a later map, and says which, where the cluster was looked for', async () => {
    expect(await traces({ routers: [3, 4, 9] }).lostSince(version(3))).toMatch(
      /^workflow cluster\/c does not exist in namespace ns, but the cluster did: router http:\/\/r1 holds version 4, router http:\/\/r2 holds version 9$/,
    );
  });

  it('is lost when a router holds another map under the version that it would begin with', async () => {
    const { map, ...rest } = version(3);
    const [shard] = map.shards;
    const shards = [{ ...shard!, primary_url: 'http://other:6333' }];
    const other = { ...rest, map: { ...map, shards } };
    expect(await traces({ routers: [3] }).lostSince(other)).toMatch(/http:\/\/r0 holds version 3/);
  });

  it('is not lost with a warning when a router does not answer, and lost all the same when another one is ahead', async () => {
    expect(await traces({ routers: [new Error('connection refused'), 3] }).lostSince(version(3))).toBeNull();
    expect(logged).toMatchObject([{ level: 40, router: 'router http://r0', reason: 'connection refused' }]);
    expect(await traces({ routers: [new Error('connection refused'), 4] }).lostSince(version(3))).toMatch(/version 4/);
  });

  it('is looked for on the routers of a list, and a name without an address is one that does not answer', async () => {
    const entry = 'dns+http://r:6333';
    const unknown = [{ entry: 'dns+http://gone:1', reason: 'ENOTFOUND' }];
    const found: FoundRouters = { routers: [{ url: 'http://r0', entry }], unknown };
    expect(await traces({ routers: [4] }, found).lostSince(version(3))).toMatch(/http:\/\/r0 holds version 4/);
    expect(logged).toMatchObject([{ level: 40, router: 'routers of dns+http://gone:1', reason: 'ENOTFOUND' }]);
  });

  it.each<[string, WitnessedState]>([
    ['a later version', version(4)],
    ['another map under its version', { ...version(3), map: { ...version(3).map, leaving: [0] } }],
    ['more ids given out', version(3, 9)],
  ])('is lost when the file or the record knows %s', async (_what, state) => {
    const file: FileReading = { kind: 'known', state, lineage: 'l' };
    expect(await traces({ file }).lostSince(version(3))).toMatch(/file \/data\/p\.json holds version/);
    const record = { state, lineage: 'l' };
    expect(await traces({ record }).lostSince(version(3))).toMatch(/workflow published\/c holds version/);
  });

  it('is lost when the file is there and cannot be read (INV-8)', async () => {
    const file: FileReading = { kind: 'unreadable', reason: 'EACCES' };
    expect(await traces({ file }).lostSince(version(3))).toMatch(
      /file \/data\/p\.json exists and cannot be read \(EACCES\)/,
    );
  });

  it('is lost when the record exists and no worker tells it, but not when there is none', async () => {
    const record = new Error('no answer');
    expect(await traces({ record, exists: true }).lostSince(version(3))).toMatch(
      /workflow published\/c exists and cannot be read \(no answer\)/,
    );
    expect(await traces({ record, exists: false }).lostSince(version(3))).toBeNull();
  });

  it('that has no settings to begin with is lost as soon as anybody knows a map of it', async () => {
    const file: FileReading = { kind: 'known', state: version(0), lineage: 'l' };
    expect(await traces({ file }).lostSince(null)).toMatch(/version 0/);
    expect(await traces({ routers: [1] }).lostSince(null)).toMatch(/version 1/);
    expect(await traces({ routers: [0] }).lostSince(null)).toBeNull();
  });
});

describe('what is left', () => {
  it('is looked for once, however many readers ask within some seconds', async () => {
    const left = traces({ routers: [7] });
    const [first, second] = await Promise.all([left.lostDetail(), left.lostDetail()]);
    expect(first).toMatch(/version 7/);
    expect([second, await left.lostDetail()]).toEqual([first, first]);
    expect(asks).toBe(1);
  });

  it('counts a file of another cluster of the same name by its version only', async () => {
    const record = { state: version(3), lineage: 'mine' };
    const file: FileReading = { kind: 'known', state: version(8), lineage: 'of another' };
    const { known, unusable } = await traces({ record, file }).survey();
    expect(known.map(({ source }) => source)).toEqual(['published workflow']);
    expect(unusable).toEqual([{ where: 'file /data/p.json', version: 8 }]);
  });
});
