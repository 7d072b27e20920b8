/** The state of a cluster with the maximum of everything, part by part. docs/internals/architecture.md has the table. */
import { markStandbys, recordEvaluation, refreshNotices, seedAutoscale } from '../../src/domain/autoscale-state';
import { DEFAULT_POLICY } from '../../src/domain/autoscale-policy';
import { seedState, type ClusterState } from '../../src/domain/cluster-state';
import {
  ANSWERED_REQUESTS_MAX,
  EVALUATIONS_MAX,
  NOTICES_MAX,
  RECENT_OPERATIONS_MAX,
  ROUTER_ENTRIES_MAX,
  ROUTER_ENTRY_CHARS_MAX,
  SHARDS_MAX,
  STANDBYS_MAX,
} from '../../src/domain/limits';
import { announce, beginCheck, endCheck, reserve } from '../../src/domain/lock-transitions';
import { replaceLimits } from '../../src/domain/limit-transitions';
import { changeByHand } from '../../src/domain/manual-changes';
import { recordNotices } from '../../src/domain/notices';
import { setRouters } from '../../src/domain/router-list';
import type { ShardAddress } from '../../src/domain/shard-map';

const KIB = 1024;
const LONG = 'a very long text '.repeat(20_000);
/** 40 characters each. */
const url = (name: string, n: number): string =>
  `http://${name}-${String(n).padStart(4, '0')}.`.padEnd(35, 'x') + ':6333';
const address = (name: string, n: number): ShardAddress => ({
  primary_url: url(`${name}-a`, n),
  replica_urls: [url(`${name}-b`, n), url(`${name}-c`, n)],
  grpc_url: url(`${name}-g`, n),
});
const many = <T>(length: number, of: (n: number) => T): T[] => Array.from({ length }, (_, n) => of(n));
const key = (n: number): string => String(n).padStart(128, 'k');

function fullState(): ClusterState {
  const nowMs = 1_800_000_000_000;
  let state = seedState(many(SHARDS_MAX - 64, (n) => address('s', n)));
  for (let n = 0; n < ANSWERED_REQUESTS_MAX; n++) {
    const change = {
      change: 'replaceAddress',
      id: n,
      address: { ...address('r', n), replica_urls: many(32, (m) => url(`r${n}`, m)) },
    } as const;
    state = changeByHand(state, change, key(n));
    state = changeByHand(state, { ...change, address: address('s', n) }, null);
  }
  state = { ...state, identity: { uid: 'c0ffee00-c0ff-4ee0-8c0f-fee00c0ffee0', removed: false } };
  for (let n = 0; n < RECENT_OPERATIONS_MAX; n++) {
    const operationId = `check-${key(n)}`;
    state = beginCheck(state, { operationId, nowMs });
    state = endCheck(state, {
      operationId,
      end: 'failed',
      code: 'PatienceExhausted',
      pointsMoved: 1_000_000_000,
      message: LONG,
      nowMs,
    });
  }
  const shards = many(64, (n) => address('j', n));
  state = reserve(state, {
    operationId: `grow-${key(0)}`,
    request: { kind: 'grow', shards, fromStandby: false },
    nowMs,
  });
  state = announce(state, `grow-${key(0)}`);
  const notices = many(
    NOTICES_MAX,
    (n) =>
      ({
        key: `RouterServesSeeds.${String(n).padStart(180, 'x')}`,
        code: 'RouterServesSeeds',
        message: LONG,
        operationId: `grow-${key(0)}`,
        leftovers: many(8, (m) => url('l', m)),
      }) as const,
  );
  state = recordNotices(state, notices, nowMs);
  const standbys = many(STANDBYS_MAX, (n) => address('w', n));
  let autoscale = seedAutoscale(state.autoscale, { policy: { ...DEFAULT_POLICY, enabled: true }, standbys, nowMs });
  autoscale = markStandbys(
    autoscale,
    standbys.map(({ primary_url }) => ({ primaryUrl: primary_url, problem: LONG })),
    nowMs,
  );
  const unreadable = state.map.shards.map(({ id }) => id);
  for (let n = 0; n < EVALUATIONS_MAX; n++) {
    const evaluation = {
      atMs: nowMs,
      reason: 'no_standby',
      message: LONG,
      pointsMax: 1_000_000_000,
      unreadable,
      operationId: `grow-${key(0)}`,
      refusal: 'DonorUnreachable',
    } as const;
    autoscale = recordEvaluation(autoscale, evaluation, { streak: 1_000, lowStreak: 1_000 });
  }
  const members = Object.fromEntries(
    state.map.shards.map(({ id }) => [id, { epoch: 1_000_000, grpcUrl: url('g', id) }]),
  );
  state = replaceLimits(state, {
    maxBytesPerS: Number.MAX_SAFE_INTEGER,
    maxRowsPerS: Number.MAX_SAFE_INTEGER,
    deleteShare: 0.1 + 0.2,
    activeFrom: '22:30',
    activeTo: '04:00',
  });
  const entries = many(ROUTER_ENTRIES_MAX, (n) => `http://${String(n).padStart(ROUTER_ENTRY_CHARS_MAX - 7, 'r')}`);
  return setRouters({ ...state, members, autoscale: refreshNotices(autoscale, nowMs) }, entries);
}

const bytes = (value: unknown): number => Buffer.byteLength(JSON.stringify(value));

/** In KiB, with the most of everything. */
const BUDGET = {
  map: 180,
  members: 80,
  standbys: 70,
  operations: 60,
  notices: 65,
  evaluations: 21,
  lock: 15,
  'notices of the policy': 14,
  answered: 12,
  limits: 1,
  routers: 26,
};

describe('the state of a cluster with the maximum of everything', () => {
  const state = fullState();

  it('has every part within its budget, and is far below what Temporal takes', () => {
    const { map, members, operations, notices, lock, answered, autoscale, limits, routers } = state;
    const { standbys, evaluations } = autoscale;
    const parts = { map, members, standbys, operations, notices, evaluations, lock, answered, limits, routers };
    const sizes = Object.entries({ ...parts, 'notices of the policy': autoscale.notices }).map(
      ([part, value]) => [part, bytes(value) / KIB] as const,
    );
    const over = sizes.filter(([part, kib]) => kib > BUDGET[part as keyof typeof BUDGET]);
    expect(over).toEqual([]);
    expect(bytes(state)).toBeLessThanOrEqual(528 * KIB);
  });

  it('really has the maximum', () => {
    const { map, lock, operations, answered, notices, autoscale, routers } = state;
    expect(map.shards).toHaveLength(SHARDS_MAX);
    expect(lock?.shards).toHaveLength(64);
    expect(operations).toHaveLength(RECENT_OPERATIONS_MAX);
    expect(answered).toHaveLength(ANSWERED_REQUESTS_MAX);
    expect(notices).toHaveLength(NOTICES_MAX);
    expect(routers?.entries).toHaveLength(ROUTER_ENTRIES_MAX);
    expect(autoscale.standbys).toHaveLength(STANDBYS_MAX);
    expect(autoscale.evaluations).toHaveLength(EVALUATIONS_MAX);
  });
});
