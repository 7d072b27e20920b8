import { pino } from 'pino';
import type { ClusterTransition } from '../../../src/contract/cluster';
import { ClientError } from '../../../src/client/calls/errors';
import { WitnessedMap, type WitnessedMapOptions } from '../../../src/api/map/witnessed-map';
import { seedState, type ClusterState } from '../../../src/domain/cluster-state';
import { catchUp, laterWitnessed, witnessedPart, type WitnessedState } from '../../../src/domain/witnessed';
import { seedRouters, setRouters } from '../../../src/domain/router-list';
import { changeByHand } from '../../../src/domain/manual-changes';
import { waitFor } from '../../support/wait-for';

const at = (name: string) => ({ primary_url: `http://${name}:6333`, replica_urls: [] });
const SEED = seedState([at('s0')]);
const added = (state: ClusterState, name: string): ClusterState =>
  changeByHand(state, { change: 'add', shard: at(name) }, null);
/** The states of a cluster that shards were added to, by version. A cluster begins with version 1. */
const STATES = [SEED, SEED];
for (let n = 2; n <= 7; n++) STATES.push(added(STATES[n - 1]!, `s${n}`));
const state = (version: number): ClusterState => STATES[version]!;

/** A cluster and a record, both of which a test moves, holds up and breaks as it likes. */
class World {
  cluster = state(1);
  record: WitnessedState | null = null;
  recordTrouble: Error | null = null;
  rememberTrouble: Error | null = null;
  updateTrouble: Error | null = null;
  /** Awaited before the record is read. */
  hold: Promise<void> = Promise.resolve();
  nowMs = 1_000;
  readonly calls: string[] = [];
  readonly transitions: ClusterTransition[] = [];
  readonly logged: Record<string, unknown>[] = [];

  reader(options: Partial<WitnessedMapOptions> = {}): WitnessedMap {
    return new WitnessedMap({
      client: {
        queryMap: async () => this.cluster.map,
        queryState: async () => {
          this.calls.push('state');
          return this.cluster;
        },
        applyTransition: async (transition) => {
          this.transitions.push(transition);
          if (this.updateTrouble !== null) throw this.updateTrouble;
          if (transition.type === 'catchUp') this.cluster = catchUp(this.cluster, transition.published);
          const { map, lock, identity, epoch } = this.cluster;
          return { map, lock, identity, epoch };
        },
      },
      witness: {
        lastRemembered: async () => {
          this.calls.push('record');
          await this.hold;
          if (this.recordTrouble !== null) throw this.recordTrouble;
          return this.record;
        },
        remember: async (offered) => {
          this.calls.push('remember');
          if (this.rememberTrouble !== null) throw this.rememberTrouble;
          this.record = laterWitnessed(this.record, offered);
        },
      },
      logger: pino({}, { write: (line: string) => void this.logged.push(JSON.parse(line) as Record<string, unknown>) }),
      nowMs: () => this.nowMs,
      ...options,
    });
  }
}

let world: World;
beforeEach(() => {
  world = new World();
});

describe('a map', () => {
  it('is recorded before it is served, with the lock and the next id', async () => {
    expect(await world.reader().readMap()).toEqual(state(1).map);
    expect(world.record).toEqual(witnessedPart(state(1)));
  });

  it('costs a look once per version, not per read', async () => {
    const map = world.reader();
    for (let n = 0; n < 50; n++) await map.readMap();
    expect(world.calls).toEqual(['record', 'state', 'remember']);
    world.cluster = state(2);
    await map.readMap();
    expect(world.calls).toHaveLength(6);
    expect(world.record).toEqual(witnessedPart(state(2)));
  });

  it('is looked into once for all readers at once', async () => {
    const map = world.reader();
    await Promise.all(Array.from({ length: 20 }, () => map.readMap()));
    expect(world.calls).toEqual(['record', 'state', 'remember']);
  });

  it('is recorded again with a list of routers that was made by hand since, and not with that of the settings', async () => {
    const map = world.reader({ lookIntervalMs: 10 });
    await map.readMap();
    const looksAgain = async (): Promise<void> => {
      const looks = world.calls.length;
      world.nowMs += 10;
      await map.readMap();
      await waitFor('the look in the background', () => world.calls.slice(looks).includes('state'));
    };
    world.cluster = seedRouters(state(1), ['http://r9']);
    await looksAgain();
    expect(world.calls.filter((call) => call === 'remember')).toHaveLength(1);
    world.cluster = setRouters(state(1), ['http://r0']);
    await looksAgain();
    await waitFor('it is recorded', () => world.record?.routers?.entries.join() === 'http://r0');
    const remembered = world.calls.filter((call) => call === 'remember').length;
    await looksAgain();
    expect(world.calls.filter((call) => call === 'remember')).toHaveLength(remembered);
  });

  it('that another process has recorded is not recorded again', async () => {
    world.record = witnessedPart(state(1));
    await world.reader().readMap();
    expect(world.calls).toEqual(['record', 'state']);
  });

  it('that changes while it is looked into is served as it is by then', async () => {
    let release = (): void => undefined;
    world.hold = new Promise((resolve) => (release = resolve));
    const reading = world.reader().readMap();
    await waitFor('the look has begun', () => world.calls.length > 0);
    world.cluster = state(3);
    release();
    expect(await reading).toEqual(state(3).map);
    expect(world.record).toEqual(witnessedPart(state(3)));
    expect(world.transitions).toEqual([]);
  });
});

describe('a cluster that was rewound', () => {
  it('is put past the witness before its map is served, with a warning', async () => {
    const map = world.reader();
    world.cluster = state(5);
    await map.readMap();
    world.cluster = state(2);
    const served = await map.readMap();
    expect(served).toEqual({ ...state(5).map, version: 6 });
    expect(world.record).toEqual({ ...witnessedPart(state(5)), map: served, epoch: 1_000 });
    expect(world.logged).toMatchObject([{ level: 40, version: 2, witnessedVersion: 5 }]);
    expect(added(world.cluster, 'new').map.shards.at(-1)?.id).toBe(5);
  });

  it('is found by a process that has not served anything yet', async () => {
    world.record = witnessedPart(state(5));
    expect((await world.reader().readMap()).version).toBe(6);
  });

  it('is found when it means another map under the witnessed version', async () => {
    world.record = witnessedPart(added(state(1), 'other'));
    world.cluster = state(2);
    expect((await world.reader().readMap()).version).toBe(3);
    expect(world.cluster.map.shards.at(-1)?.primary_url).toBe('http://other:6333');
  });

  it('to the very map that this process served last is found by a look that no read waits for', async () => {
    const map = world.reader({ lookIntervalMs: 10_000 });
    await map.readMap();
    world.record = witnessedPart(state(4));
    expect((await map.readMap()).version).toBe(1);
    world.nowMs += 10_001;
    expect((await map.readMap()).version).toBe(1);
    await waitFor('it is found', async () => (await map.readMap()).version === 5);
  });

  it('to the very map that this process served last is no longer served once that is known, until it is brought forward', async () => {
    const map = world.reader({ lookIntervalMs: 10_000, pauseMs: 100 });
    await map.readMap();
    world.record = witnessedPart(state(4));
    world.updateTrouble = new ClientError('TransitionUnanswered', 'no answer');
    world.nowMs += 10_001;
    await map.readMap();
    await waitFor('it is known', () => world.transitions.length === 1);
    await expect(map.readMap()).rejects.toMatchObject({ code: 'TemporalUnreachable' });
    world.updateTrouble = null;
    world.nowMs += 101;
    expect((await map.readMap()).version).toBe(5);
  });

  it('is not served while it cannot be brought forward, and served as soon as it is', async () => {
    const map = world.reader({ pauseMs: 100 });
    world.record = witnessedPart(state(5));
    world.updateTrouble = new ClientError('TransitionUnanswered', 'no answer');
    for (let n = 0; n < 3; n++) await expect(map.readMap()).rejects.toMatchObject({ code: 'TemporalUnreachable' });
    expect(world.transitions).toHaveLength(1);
    world.updateTrouble = null;
    world.nowMs += 101;
    expect((await map.readMap()).version).toBe(6);
  });
});

describe('recording that fails', () => {
  it('does not keep a map back that was brought forward', async () => {
    world.record = witnessedPart(state(5));
    world.rememberTrouble = new Error('no worker knows it');
    expect((await world.reader().readMap()).version).toBe(6);
  });

  it.each(['recordTrouble', 'rememberTrouble'] as const)(
    'with a %s serves the map all the same, says so once, and is tried again by a later read',
    async (trouble) => {
      const map = world.reader({ pauseMs: 100 });
      world[trouble] = new Error('no worker knows it');
      for (let n = 0; n < 3; n++) {
        expect(await map.readMap()).toEqual(state(1).map);
        world.nowMs += 101;
      }
      expect(world.logged.filter(({ level }) => level === 40)).toHaveLength(1);
      world[trouble] = null;
      expect(await map.readMap()).toEqual(state(1).map);
      expect(world.record).toEqual(witnessedPart(state(1)));
    },
  );

  it('is not tried by every read while it fails', async () => {
    const map = world.reader({ pauseMs: 100 });
    world.recordTrouble = new Error('no worker knows it');
    for (let n = 0; n < 10; n++) await map.readMap();
    expect(world.calls).toEqual(['record']);
  });

  it('that hangs holds a read up for its patience only, and later reads not at all', async () => {
    let release = (): void => undefined;
    world.hold = new Promise((resolve) => (release = resolve));
    const map = world.reader({ patienceMs: 50, pauseMs: 60_000 });
    expect(await map.readMap()).toEqual(state(1).map);
    expect(await map.readMap()).toEqual(state(1).map);
    expect(world.calls).toEqual(['record']);
    release();
    await waitFor('it is recorded after all', () => world.record !== null);
  });

  it('never serves a map older than one that was recorded here', async () => {
    const map = world.reader();
    world.cluster = state(5);
    await map.readMap();
    world.cluster = state(2);
    world.recordTrouble = new Error('no worker knows it');
    expect(await map.readMap()).toEqual(state(5).map);
  });
});

it('fails as the cluster does when the cluster tells no map', async () => {
  const lost = new ClientError('ClusterLost', 'it is lost');
  const client = {
    queryMap: () => Promise.reject(lost),
    queryState: () => Promise.reject(lost),
    applyTransition: () => Promise.reject(lost),
  };
  await expect(world.reader({ client }).readMap()).rejects.toBe(lost);
});

describe('the age of what the witness remembers', () => {
  it('counts from the last look that found or told it, and not from one that failed', async () => {
    const map = world.reader();
    expect(map.rememberedAgeMs).toBeNull();
    await map.readMap();
    expect(map.rememberedAgeMs).toBe(0);
    world.nowMs += 9_000;
    await map.readMap();
    expect(map.rememberedAgeMs).toBe(9_000);
    world.nowMs += 2_000;
    world.recordTrouble = new Error('no worker answers');
    await map.readMap();
    await waitFor('it was looked at again', () => world.calls.filter((call) => call === 'record').length === 2);
    expect(map.rememberedAgeMs).toBe(11_000);
  });
});
