/** What a seed makes of a run: a cluster, its clients, what goes wrong and when. */
import { DEFAULT_TIMINGS, type Timings } from '../../../src/domain/limits';
import type { Phase } from '../../../src/domain/progress';
import { Random } from './world/random';
import type { Chances } from './world/world';

export type OperationPlan = { readonly kind: 'grow'; readonly joiners: number } | { readonly kind: 'drain' };

export type Fault =
  | { readonly kind: 'router-restarts'; readonly router: number; readonly forMs: number; readonly blindMs: number }
  | { readonly kind: 'polls-hang'; readonly router: number; readonly forMs: number }
  | { readonly kind: 'api-away'; readonly forMs: number }
  | { readonly kind: 'shard-restarts'; readonly shard: number; readonly forMs: number }
  | { readonly kind: 'shard-stands-still'; readonly shard: number; readonly forMs: number }
  | {
      readonly kind: 'wrong-volume';
      readonly shard: number;
      readonly volume: 'empty' | 'old' | 'hollow';
      readonly forMs: number;
    }
  | { readonly kind: 'worker-dies'; readonly forMs: number }
  | { readonly kind: 'worker-stands-still'; readonly forMs: number }
  | { readonly kind: 'worker-cut-off'; readonly forMs: number }
  | { readonly kind: 'cancel'; readonly how: 'rest' | 'web-ui' }
  | { readonly kind: 'terminate' };

export interface TimedFault {
  /** It strikes so long after the operation has come to this phase. */
  readonly phase: Phase;
  readonly afterMs: number;
  readonly fault: Fault;
}

export interface Scenario {
  readonly seed: number;
  readonly shards: number;
  readonly followers: 'none' | 'good' | 'lagging' | 'frozen';
  readonly routers: number;
  readonly seeds: 'dead' | 'live';
  readonly failClosedTold: boolean;
  readonly routersAsked: boolean;
  readonly workers: number;
  readonly still: number;
  readonly busy: number;
  readonly clients: number;
  readonly writeEveryMs: number;
  readonly scanMicrosPerRow: number;
  readonly tailChangesMax: number;
  readonly operations: readonly OperationPlan[];
  readonly faults: readonly TimedFault[];
  readonly chances: Chances;
  readonly timings: Timings;
  readonly deadAnswer: boolean;
  readonly historyEventsMax: number;
  /** The joiner has empty collections of its own. */
  readonly joinerHasCollections: boolean;
}

const GROW_PHASES: readonly Phase[] = [
  'preflight',
  'prepare',
  'announce',
  'await-routers',
  'copy',
  'reconcile',
  'promote',
  'await-routers-after',
  'drop',
  'confirm',
  'undo',
];
const DRAIN_PHASES: readonly Phase[] = [
  'preflight',
  'announce',
  'await-routers',
  'copy',
  'reconcile',
  'remove',
  'await-routers-after',
  'drop',
  'empty',
  'undo',
];

/** Where most depends on what happens meanwhile. */
const HOT_PHASES: readonly Phase[] = ['await-routers', 'copy', 'reconcile', 'reconcile', 'await-routers-after', 'drop'];

export function scenarioOf(seed: number): Scenario {
  const random = new Random(seed);
  const isLossy = random.chance(0.15);
  const operations = operationsOf(random, isLossy);
  const shards = random.between(2, 3);
  const routers = random.between(1, 3);
  const seeds = random.chance(0.5) ? 'dead' : 'live';
  const routersAsked = random.chance(0.92);
  const timings: Timings = {
    ...DEFAULT_TIMINGS,
    warmUpMs: 0,
    routerPatienceMs: 20_000,
    patienceMs: 60_000,
    inFlightMs: random.pick([3_000, 5_000]),
  };
  return {
    seed,
    shards,
    followers: random.chance(0.6) ? 'none' : random.pick(['good', 'lagging', 'frozen'] as const),
    routers,
    seeds,
    failClosedTold: seeds === 'dead' && random.chance(0.5),
    routersAsked,
    workers: random.between(1, 2),
    still: isLossy ? random.between(700, 900) : random.between(0, 60),
    busy: random.between(20, 60),
    clients: random.between(2, 5),
    writeEveryMs: random.pick([15, 30, 60]),
    scanMicrosPerRow: random.pick([25, 500, 3_000]) / (isLossy ? 8 : 1),
    tailChangesMax: random.pick([4, 30, 1_024]),
    operations,
    faults: faultsOf(random, { operations, shards, routers, isLossy, routersAsked }),
    chances: chancesOf(random, timings),
    timings,
    deadAnswer: random.chance(0.85),
    historyEventsMax: random.pick([40, 120, 3_000]),
    joinerHasCollections: random.chance(0.2),
  };
}

function operationsOf(random: Random, isLossy: boolean): OperationPlan[] {
  const grow = (): OperationPlan => ({ kind: 'grow', joiners: random.chance(0.2) ? 2 : 1 });
  const chance = random.next();
  const twoFrom = isLossy ? 0.5 : 0.85;
  if (chance < twoFrom / 2) return [grow()];
  if (chance < twoFrom) return [{ kind: 'drain' }];
  return random.chance(0.5) ? [grow(), { kind: 'drain' }] : [{ kind: 'drain' }, grow()];
}

function chancesOf(random: Random, { inFlightMs }: Timings): Chances {
  return {
    slowMessage: random.pick([0, 0.002, 0.01]),
    slowMessageMs: 300,
    slowWrite: random.pick([0, 0, 0.05]),
    slowWriteMs: 38_000,
    tailLost: random.pick([0, 0.3, 0.9]),
    streamCut: random.pick([0, 0, 0.2]),
    updateLost: random.pick([0, 0.05]),
    answerLost: random.pick([0, 0.05]),
    routerPause: random.pick([0, 0.05, 0.2]),
    routerPauseMs: inFlightMs * 0.7,
  };
}

function faultsOf(
  random: Random,
  of: {
    operations: readonly OperationPlan[];
    shards: number;
    routers: number;
    isLossy: boolean;
    routersAsked: boolean;
  },
): TimedFault[] {
  const count = random.pick([0, 1, 2, 2, 3, 4]);
  const faults = Array.from({ length: count }, (): TimedFault => {
    const { kind } = random.pick(of.operations);
    const phase = random.chance(0.5)
      ? random.pick(HOT_PHASES)
      : random.pick(kind === 'grow' ? GROW_PHASES : DRAIN_PHASES);
    return { phase, afterMs: random.pick([0, 1, 20, 200, 1_000, 3_000, 5_000]), fault: faultOf(random, of) };
  });
  if (of.isLossy) {
    const [first, second] = of.operations;
    // What is lacking must be above the bound from which on the product distrusts a shard.
    const canBeHollow = of.shards === 2 && second === undefined && first?.kind === 'grow' && first.joiners === 1;
    const volume = canBeHollow ? 'hollow' : random.pick(['empty', 'old', 'old'] as const);
    const shard = random.between(0, canBeHollow ? 1 : of.shards);
    const fault: Fault = { kind: 'wrong-volume', shard, volume, forMs: random.between(2_000, 20_000) };
    faults.push({
      phase: random.pick(['copy', 'reconcile', 'drop'] as const),
      afterMs: random.between(0, 5_000),
      fault,
    });
  }
  return faults;
}

function faultOf(random: Random, of: { shards: number; routers: number; routersAsked: boolean }): Fault {
  const router = random.between(0, of.routers - 1);
  // The last one is the first joiner, where there is one.
  const shard = random.between(0, of.shards);
  const short = random.between(50, 3_000);
  const long = random.between(1_000, 40_000);
  const faults: Fault[] = [
    { kind: 'router-restarts', router, forMs: short, blindMs: random.pick([0, 100, 3_000]) },
    { kind: 'router-restarts', router, forMs: random.between(1, 50), blindMs: random.pick([100, 400, 3_000]) },
    { kind: 'router-restarts', router, forMs: random.between(1, 50), blindMs: random.pick([100, 400, 3_000]) },
    { kind: 'shard-restarts', shard, forMs: short },
    { kind: 'shard-restarts', shard, forMs: long },
    { kind: 'shard-stands-still', shard, forMs: random.between(100, 1_500) },
    { kind: 'worker-dies', forMs: short },
    { kind: 'worker-dies', forMs: long },
    { kind: 'worker-stands-still', forMs: long },
    { kind: 'worker-cut-off', forMs: long },
    { kind: 'cancel', how: random.pick(['rest', 'web-ui']) },
    { kind: 'terminate' },
  ];
  // Where routers cannot be asked, the grace takes their word for it that they poll.
  if (of.routersAsked) {
    faults.push({ kind: 'polls-hang', router, forMs: long }, { kind: 'api-away', forMs: random.between(500, 8_000) });
  }
  return random.pick(faults);
}
