/**
 * The suites of faults that strike an operation on real Quiver, under clients that write and delete. `npm test` runs each for one phase, the
 * campaign for every phase.
 */
import { randomUUID } from 'node:crypto';
import { Client, type Connection } from '@temporalio/client';
import { operationWorkflowId, parseOperationId } from '../../src/contract/ids';
import type { Phase } from '../../src/domain/progress';
import { ClusterUnderTest } from './cluster-under-test';
import { expectDrained, expectNothingRefused, expectNothingWrong } from './expectations';
import { DRAIN_UNDER_TEST, GROW_UNDER_TEST, type OperationUnderTest } from './operations-under-test';
import { describeWithQuiver } from './real-quiver';
import { connectTo, PrivateTemporal, sharedTemporal } from './temporal';
import { waitFor } from './wait-for';

const IN_TURN_TIMEOUT_MS = 600_000;
const CANCEL_TIMEOUT_MS = 240_000;
const TERMINATE_TIMEOUT_MS = 360_000;
const RECOVERY_TIMEOUT_MS = 240_000;
/** Every kill is missed only after a heartbeat time-out, and what the killed worker may still be writing is waited for. */
const KILL_TIMEOUT_MS = 480_000;

async function expectClean(cluster: ClusterUnderTest): Promise<void> {
  const report = await cluster.verify();
  expectNothingWrong(report);
  expectNothingRefused(report);
}

/** One machine joins and leaves in turn. Each round begins where the last one ended. */
export function describeInTurn(rounds: number): void {
  describeWithQuiver('a cluster that is written to', () => {
    let cluster: ClusterUnderTest;

    beforeAll(async () => {
      cluster = await ClusterUnderTest.start({ temporal: await sharedTemporal() });
    });

    afterAll(() => cluster.dispose());

    test(
      `loses, revives and misplaces nothing while one machine joins and leaves it ${rounds} times in turn`,
      async () => {
        const ids = new Set<number>();
        for (let round = 0; round < rounds; round++) {
          cluster.check.start();
          const grow = cluster.grow();
          const [id] = (await grow.answered).joining as [number];
          expect(ids.has(id)).toBe(false);
          ids.add(id);
          expect(await cluster.ends(grow.operationId)).toMatchObject({
            status: 'succeeded',
            outcome: { points_kept: 0 },
          });
          const drain = cluster.drain(id);
          expect((await drain.answered).leaving).toEqual([id]);
          expect(await cluster.ends(drain.operationId)).toMatchObject({
            status: 'succeeded',
            outcome: { points_kept: 0 },
          });
          const report = await cluster.verify(round === rounds - 1 ? 'every' : 'written');
          expectNothingWrong(report);
          expectNothingRefused(report);
          await expectDrained(cluster, cluster.joiner);
        }
        // INV-1: one version more with every change, and none that comes twice.
        expect(cluster.map.versions).toEqual(Array.from({ length: 4 * rounds + 1 }, (_, change) => 1 + change));
      },
      IN_TURN_TIMEOUT_MS,
    );
  });
}

/** Each group is one operation: the worker recovers from one kill before the next one comes. */
export function describeWorkerKilled(operation: OperationUnderTest, groups: readonly (readonly Phase[])[]): void {
  describeWithQuiver(`a ${operation.kind} whose worker is killed (SIGKILL) and started again`, () => {
    let temporal: PrivateTemporal;
    let cluster: ClusterUnderTest;

    beforeAll(async () => {
      temporal = await PrivateTemporal.start();
    });
    afterAll(() => temporal.dispose());
    beforeEach(async () => {
      // The proof goes with the worker. Then more than 100 deletes behind the flip would be taken for lost data, and such
      // points be kept.
      const slow = { shardDelayMs: 150, requestsPerSecond: 50 };
      cluster = await ClusterUnderTest.start({ temporal, shards: operation.shards, ...slow });
    });
    afterEach(() => cluster.dispose());

    test.each(groups.map((phases) => ({ phases, title: phases.join(', ') })))(
      'loses nothing, and no client notices, when that happens in each of the phases $title',
      async ({ phases }) => {
        const { operationId, answered } = operation.begin(cluster);
        for (const phase of phases) {
          await cluster.enters(operationId, phase);
          await cluster.worker.restart();
        }
        expect(await cluster.ends(operationId)).toMatchObject({ status: 'succeeded', outcome: { points_kept: 0 } });
        expect((await answered).version).toBe(2);
        await expectClean(cluster);
        await operation.expectDone(cluster);
      },
      KILL_TIMEOUT_MS,
    );
  });
}

/** One cluster for all of them: each must leave it so that the next one finds it as the first did (INV-7). */
export function describeCancelled(operation: OperationUnderTest, phases: readonly Phase[]): void {
  describeWithQuiver(`a ${operation.kind} that is cancelled`, () => {
    let cluster: ClusterUnderTest;

    beforeAll(async () => {
      const temporal = await sharedTemporal();
      cluster = await ClusterUnderTest.start({ temporal, shards: operation.shards, shardDelayMs: 250 });
    });
    // The verification stops the clients.
    beforeEach(() => cluster.check.start());
    afterAll(() => cluster.dispose());

    test.each(phases)(
      'leaves the cluster as it was, when that happens in the phase %s',
      async (phase) => {
        const before = await cluster.currentMap();
        const { operationId } = operation.begin(cluster);
        expect(await cluster.enters(operationId, phase)).toMatchObject({ point_of_no_return_passed: false });
        expect((await cluster.cancel(operationId)).status).toBe(200);
        const ended = await cluster.ends(operationId);
        expect(ended).toMatchObject({ status: 'cancelled', cancel_requested: true, point_of_no_return_passed: false });
        await operation.expectUndone(cluster);
        await expectClean(cluster);
        const { version, ...after } = await cluster.currentMap();
        expect(after).toEqual({ shards: before.shards, joining: [], leaving: [] });
        const wasAnnounced = cluster.map.versions.includes(before.version + 1);
        // A version that lives shorter than the pause between two reads may not have been seen.
        expect(wasAnnounced ? [2] : [0, 2]).toContain(version - before.version);
        expect(cluster.map.faults).toEqual([]);
      },
      CANCEL_TIMEOUT_MS,
    );

    test(
      'is refused with the reason after the flip, and succeeds all the same, after all those that were cancelled',
      async () => {
        const { operationId } = operation.begin(cluster);
        await cluster.enters(operationId, 'await-routers-after');
        const refusal = await cluster.cancel(operationId);
        expect(refusal.status).toBe(409);
        expect(await refusal.json()).toMatchObject({ code: 'PointOfNoReturnPassed' });
        expect(await cluster.ends(operationId)).toMatchObject({ status: 'succeeded', cancel_requested: false });
        expectNothingWrong(await cluster.verify());
        await operation.expectDone(cluster);
      },
      CANCEL_TIMEOUT_MS,
    );
  });
}

export interface TerminatedPhases {
  readonly grow: readonly Phase[];
  readonly drain: readonly Phase[];
}

/**
 * As a person does in the Web UI who does not know what it means. Nobody asks for the recovery: the routers' polls of the map find the
 * abandoned lock.
 */
export function describeTerminated({ grow, drain }: TerminatedPhases): void {
  describeWithQuiver('an operation that is terminated', () => {
    let client: Client;
    let connection: Connection;
    let cluster: ClusterUnderTest;
    const name = `terminated-${randomUUID().slice(0, 8)}`;

    beforeAll(async () => {
      const temporal = await sharedTemporal();
      connection = await connectTo(temporal.address);
      client = new Client({ connection, namespace: temporal.namespace });
      // A recovery waits for as long as an attempt of the dead operation may live.
      const env = { COORDINATOR_CLUSTER: name, COORDINATOR_ATTEMPT_MS: '5000', COORDINATOR_IN_FLIGHT_MS: '2000' };
      cluster = await ClusterUnderTest.start({ temporal, shards: 3, shardDelayMs: 200, env });
    });
    beforeEach(() => cluster.check.start());
    afterAll(async () => {
      await cluster.dispose();
      await connection.close();
    });

    async function terminateIn(phase: Phase, operationId: string): Promise<void> {
      await cluster.enters(operationId, phase);
      const parsed = parseOperationId(operationId);
      if (parsed === null) throw new Error(`${operationId} is no operation`);
      await client.workflow.getHandle(operationWorkflowId(name, parsed.kind, parsed.key)).terminate('by a test');
      await waitFor(
        `the recovery of ${operationId} has ended`,
        async () => {
          const recovery = (await cluster.operations()).find((each) => each.id === `recover-${operationId}.1`);
          return recovery?.status === 'succeeded';
        },
        RECOVERY_TIMEOUT_MS,
      );
      expect(await cluster.operation(operationId)).toMatchObject({ status: 'failed' });
      await expectClean(cluster);
      expect(cluster.map.faults).toEqual([]);
      expect(await cluster.currentMap()).toMatchObject({ joining: [], leaving: [] });
    }

    const shardCount = async (): Promise<number> => (await cluster.currentMap()).shards.length;
    const drainJoiner = async (): Promise<string> => {
      const { shards } = await cluster.currentMap();
      const joiner = shards.find((shard) => shard.primary_url === cluster.joiner.url);
      if (joiner === undefined) throw new Error('the joiner is not in the map');
      return cluster.drain(joiner.id).operationId;
    };
    const of = (phases: readonly Phase[], all: readonly Phase[]): readonly Phase[] =>
      phases.filter((phase) => all.includes(phase));

    const undoneGrows = of(grow, GROW_UNDER_TEST.phasesBeforeFlip);
    if (undoneGrows.length > 0) {
      test.each(undoneGrows)(
        'is undone when it was a grow in the phase %s',
        async (phase) => {
          await terminateIn(phase, cluster.grow().operationId);
          expect(await shardCount()).toBe(3);
          expect(await cluster.joinersCollections()).toEqual([]);
        },
        TERMINATE_TIMEOUT_MS,
      );
    }

    const finishedGrows = of(grow, GROW_UNDER_TEST.phasesAfterFlip);
    if (finishedGrows.length > 0) {
      test.each(finishedGrows)(
        'is finished when it was a grow in the phase %s, and its shard can be drained again',
        async (phase) => {
          await terminateIn(phase, cluster.grow().operationId);
          expect(await shardCount()).toBe(4);
          expect(await cluster.ends(await drainJoiner())).toMatchObject({ status: 'succeeded' });
        },
        TERMINATE_TIMEOUT_MS,
      );
    }

    const undoneDrains = of(drain, DRAIN_UNDER_TEST.phasesBeforeFlip);
    if (undoneDrains.length > 0) {
      test.each(undoneDrains)(
        'is undone when it was a drain in the phase %s',
        async (phase) => {
          await terminateIn(phase, cluster.drain(1).operationId);
          expect(await shardCount()).toBe(3);
        },
        TERMINATE_TIMEOUT_MS,
      );
    }

    const finishedDrains = of(drain, DRAIN_UNDER_TEST.phasesAfterFlip);
    if (finishedDrains.length > 0) {
      test.each(finishedDrains)(
        'is finished when it was a drain in the phase %s, and its shard can join again',
        async (phase) => {
          expect(await cluster.ends(cluster.grow().operationId)).toMatchObject({ status: 'succeeded' });
          await terminateIn(phase, await drainJoiner());
          expect(await shardCount()).toBe(3);
          expect(await cluster.joinersCollections()).toEqual([]);
        },
        TERMINATE_TIMEOUT_MS,
      );
    }
  });
}
