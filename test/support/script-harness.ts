/**
 * Runs a script once per row and fault, on in-process shards, a router and a real Temporal, and says what the end has to be:
 *
 * - fail it for good, or lose its answer for good: before the flip the undo leaves everything as it was; after it the operation waits
 *   with a reason, and goes on when the fault ends;
 * - run it twice (its first answers are lost), kill the worker in it: the same end as without;
 * - cancel it: undone before the flip, refused after it;
 * - pause it: it stands still at a safe point, and goes on to the same end when it is resumed;
 * - terminate it: the recovery ends as the operation itself would have;
 * - the same for the undo: run twice, without its worker, and terminated.
 *
 * A fault strikes the activity for which the row is there. A run without faults tells which one.
 */
import { ApplicationFailure } from '@temporalio/common';
import { transitionUpdate } from '../../src/contract/messages';
import type { OperationRequest } from '../../src/contract/requests';
import { PlacementPlan } from '../../src/domain/placement-plan';
import type { Phase } from '../../src/domain/progress';
import { placementSpec } from '../../src/domain/shard-map';
import { rowsUntilFlip, type Row } from '../../src/workflows/operation/script';
import { type ClusterFixture, pointJson, type TemporalForTests } from './cluster-fixture';
import type { CallFault } from './row-faults';
import { PATIENCE_MS, Scene, type ScriptUnderTest } from './scene';
import { waitFor } from './wait-for';

const ROW_FAULTS = [
  'fails for good',
  'loses its answer for good',
  'runs twice',
  'loses its worker',
  'is cancelled',
  'is paused',
  'is terminated',
] as const;
/** Of the last row before the flip, so that there is most to undo. */
const UNDO_FAULTS = [
  'has an undo that runs twice',
  'has an undo without its worker',
  'has an undo that is terminated',
] as const;
export type RowFaultName = (typeof ROW_FAULTS)[number] | (typeof UNDO_FAULTS)[number];

const INJECTED = 'injected by the harness';

export class ScriptHarness {
  private readonly temporal: TemporalForTests;
  private readonly test: ScriptUnderTest;
  private learned: Promise<ReadonlyMap<Phase, string[]>> | null = null;

  constructor(temporal: TemporalForTests, test: ScriptUnderTest) {
    this.temporal = temporal;
    this.test = test;
  }

  /** Every row with every fault, and the faults of the undo where there is one. */
  static cases({ kind, script }: ScriptUnderTest): { row: Phase; fault: RowFaultName }[] {
    const ofRows = script.flatMap(({ phase }) => ROW_FAULTS.map((fault) => ({ row: phase, fault })));
    const last = rowsUntilFlip(script).at(-2);
    if (!movesPoints(kind) || last === undefined) return ofRows;
    return [...ofRows, ...UNDO_FAULTS.map((fault) => ({ row: last.phase, fault }))];
  }

  async run(phase: Phase, fault: RowFaultName): Promise<void> {
    const { kind, script } = this.test;
    const row = script.find((each) => each.phase === phase);
    if (row === undefined) throw new Error(`${kind} has no row ${phase}`);
    const activity = workOf((await (this.learned ??= this.learn())).get(phase) ?? []);
    if (activity === undefined)
      throw new Error(`the row ${phase} of ${kind} calls no activity, so no fault can strike it`);
    const isBeforeFlip = movesPoints(kind) && rowsUntilFlip(script).includes(row) && row.isFlip !== true;
    await this.inScene(phase, (scene) =>
      PLAYS[fault]({ scene, row, activity, isBeforeFlip, movesPoints: movesPoints(kind) }),
    );
  }

  /** Which activities each row calls: a run without a fault tells. */
  private async learn(): Promise<ReadonlyMap<Phase, string[]>> {
    let called: ReadonlyMap<Phase, string[]> = new Map();
    await this.inScene('plain', async (scene) => {
      await scene.begin();
      await scene.expectDone();
      called = scene.faults.called;
    });
    return called;
  }

  private async inScene(label: string, play: (scene: Scene) => Promise<void>): Promise<void> {
    const scene = await Scene.open(this.temporal, this.test, label);
    try {
      await play(scene);
    } finally {
      await scene.close();
    }
  }
}

/** A row asks the cluster workflow before its work or after it; only where that is all, it is the work. */
function workOf(names: readonly string[]): string | undefined {
  return names.findLast((name) => name !== 'changeCluster') ?? names.at(-1);
}

function movesPoints(kind: ScriptUnderTest['kind']): boolean {
  return kind === 'grow' || kind === 'drain';
}

interface Play {
  readonly scene: Scene;
  readonly row: Row<never>;
  /** The activity of the row that is struck. */
  readonly activity: string;
  readonly isBeforeFlip: boolean;
  readonly movesPoints: boolean;
}

const PLAYS: Record<RowFaultName, (play: Play) => Promise<void>> = {
  'fails for good': (play) => failForGood(play, { before: () => Promise.reject(injected({ nonRetryable: true })) }),
  'loses its answer for good': (play) =>
    failForGood(play, { after: () => Promise.reject(injected({ nonRetryable: true })) }),
  'runs twice': async ({ scene, row }) => {
    const seen = new Set<string>();
    scene.faults.strike(row.phase, { after: (name) => loseFirstAnswer(name, seen) });
    await scene.begin();
    await scene.expectDone();
    expect(seen.size).toBeGreaterThan(0);
  },
  'loses its worker': async ({ scene, row, activity }) => {
    await scene.begin(() => scene.holdCall(row.phase, (name) => name === activity));
    await scene.replaceWorker(row.phase);
    await scene.expectDone();
  },
  'is cancelled': async ({ scene, row, activity, isBeforeFlip, movesPoints: moves }) => {
    let answer: Promise<string> | null = null;
    scene.faults.strike(row.phase, {
      isStruck: (name) => name === activity,
      before: async () => {
        await (answer ??= scene.cancel());
      },
    });
    await scene.begin();
    await scene.reached(row.phase);
    scene.faults.clear();
    if (isBeforeFlip) return scene.expectUndone(['cancelled']);
    if (!moves) return scene.expectGivenUp(['cancelled']);
    expect(await waitFor('the answer to the cancel', async () => answer)).toBe('PointOfNoReturnPassed');
    return scene.expectDone();
  },
  'is paused': async ({ scene, row, activity, movesPoints: moves }) => {
    let answer: Promise<string> | null = null;
    scene.faults.strike(row.phase, {
      isStruck: (name) => name === activity,
      before: async () => {
        await (answer ??= scene.pause());
      },
    });
    await scene.begin();
    await scene.reached(row.phase);
    const refusal = await waitFor('the answer to the pause', async () => answer);
    scene.faults.clear();
    if (refusal !== 'not refused') {
      expect(refusal).toBe('CannotPauseNow');
      return scene.expectDone();
    }
    if (await scene.standsStill()) {
      if (moves) await scene.expectAdoptedFlip();
      await scene.resume();
    }
    return scene.expectDone();
  },
  'is terminated': async ({ scene, row, activity, isBeforeFlip, movesPoints: moves }) => {
    await scene.begin(() => scene.terminateAt(row.phase, (name) => name === activity));
    await scene.recoverFrom(row.phase);
    if (isBeforeFlip) return scene.expectAsBefore();
    if (!moves) return scene.expectNothingLost();
    return scene.expectInPlace();
  },
  'has an undo that runs twice': async ({ scene, row }) => {
    const seen = new Set<string>();
    failRow(scene, row);
    scene.faults.strike('undo', { after: (name) => loseFirstAnswer(name, seen) });
    await scene.begin();
    await scene.expectUndone(['failed']);
    expect(seen.size).toBeGreaterThan(1);
  },
  'has an undo without its worker': async ({ scene, row }) => {
    failRow(scene, row);
    await scene.begin(() => scene.holdCall('undo', cleansShards));
    await scene.replaceWorker('undo');
    await scene.expectUndone(['failed']);
  },
  'has an undo that is terminated': async ({ scene, row }) => {
    failRow(scene, row);
    await scene.begin(() => scene.terminateAt('undo', cleansShards));
    await scene.recoverFrom('undo');
    await scene.expectAsBefore();
  },
};

async function failForGood(
  { scene, row, activity, isBeforeFlip, movesPoints: moves }: Play,
  fault: CallFault,
): Promise<void> {
  scene.faults.strike(row.phase, { isStruck: (name) => name === activity, ...fault });
  await scene.begin();
  if (row.optional !== undefined) {
    await scene.expectDone();
    const { phases } = await scene.progress();
    expect(phases.find((each) => each.phase === row.phase)?.note).toContain(INJECTED);
    return;
  }
  if (isBeforeFlip) return scene.expectUndone(['failed', 'refused']);
  if (!moves) return scene.expectGivenUp(['failed', 'refused']);
  await waitFor(
    `waiting that names ${INJECTED}`,
    async () => {
      const { waiting } = await scene.progress();
      return waiting?.reason.includes(INJECTED) === true;
    },
    PATIENCE_MS,
  );
  scene.faults.clear();
  return scene.expectDone();
}

/** Once, or a pass that may have written would never be clean. */
async function loseFirstAnswer(name: string, seen: Set<string>): Promise<void> {
  if (seen.has(name)) return;
  seen.add(name);
  throw injected({ nonRetryable: false });
}

function failRow(scene: Scene, row: Row<never>): void {
  scene.faults.strike(row.phase, { before: () => Promise.reject(injected({ nonRetryable: true })) });
}

/** Of an undo: what comes after the change is out of the map and the routers know it. */
function cleansShards(name: string): boolean {
  return name === 'cleanJoiner' || name === 'removeCopies';
}

function injected({ nonRetryable }: { nonRetryable: boolean }): ApplicationFailure {
  return ApplicationFailure.create({ message: INJECTED, type: 'NeedsOperator', nonRetryable });
}

// ---- The operations ----

/** The shard that joins is a standby of the policy, so that an undo has a pool to give it back to. */
export async function prepareGrow(cluster: ClusterFixture): Promise<OperationRequest> {
  const address = cluster.address(cluster.joiner);
  await cluster.cluster.executeUpdate(transitionUpdate, { args: [{ type: 'addStandby', address }] });
  return { shards: [address], allowNonempty: false, fromStandby: true };
}

export function prepareDrain(): Promise<OperationRequest> {
  return Promise.resolve({ shardId: 1 });
}

/** A shard that was added without a move, a copy on a shard that does not own it, and a collection that one shard lacks. */
export async function prepareRepair(cluster: ClusterFixture): Promise<OperationRequest> {
  const shard = cluster.address(cluster.joiner);
  const change = { change: 'add', shard } as const;
  await cluster.cluster.executeUpdate(transitionUpdate, { args: [{ type: 'changeByHand', change, key: null }] });
  const plan = new PlacementPlan(placementSpec(await cluster.map()));
  for (const id of ['copy-1', 'copy-2', 'copy-3']) {
    const owner = plan.ownerOf(Buffer.from(id));
    for (const [index, donor] of cluster.donors.entries()) {
      if (index === owner || index === (owner + 1) % cluster.donors.length) donor.put('docs', pointJson(id, 1));
    }
  }
  return { collections: null, leftovers: [], prefer: [] };
}
