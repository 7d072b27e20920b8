/** Asks what an operation would do. Starts a workflow of a plan, which changes nothing, and waits for its answer. */
import { randomUUID } from 'node:crypto';
import { WorkflowFailedError } from '@temporalio/client';
import { PLAN_LIFE_MS, PLAN_WORKFLOW, parseOperationId, planWorkflowId, taskQueue } from '../../contract/ids';
import type { CancelledSoFar, PlanInput, PlannedParties } from '../../contract/messages';
import type { DrainRequest, GrowRequest, OperationSettings, RepairRequest } from '../../contract/requests';
import type { ClusterState } from '../../domain/cluster-state';
import { refuseCancel } from '../../domain/cancel';
import { DomainError } from '../../domain/errors';
import type { LockRequest } from '../../domain/lock-transitions';
import { withGrpcUrls } from '../../domain/members';
import { NOTHING_PLANNED, stateOnceBegun, type PlannedOperation, type PlannedRefusal } from '../../domain/plan';
import { durationOf, type DurationRange } from '../../domain/plan-duration';
import { requireParties } from '../../domain/repair-request';
import { requireShard, type Shard } from '../../domain/shard-map';
import type { ClusterClient } from '../cluster-client';
import { queryError, TemporalCalls, type TemporalCallsOptions } from '../calls/calls';
import { ClientError } from '../calls/errors';

/** What somebody might start. */
export type PlannedCall =
  | { readonly kind: 'grow'; readonly request: GrowRequest }
  | { readonly kind: 'drain'; readonly request: DrainRequest }
  | { readonly kind: 'check' | 'repair'; readonly request: RepairRequest }
  | { readonly kind: 'cancel'; readonly operationId: string };

export interface OperationPlan extends PlannedOperation {
  readonly kind: PlannedCall['kind'];
  readonly duration: DurationRange;
}

export interface PlanClientOptions extends TemporalCallsOptions {
  readonly client: Pick<ClusterClient, 'queryState' | 'recallOperation' | 'describeOperation'>;
  readonly answerMs?: number;
}

interface Asked {
  /** Null: there is nothing to tell beside the refusal. */
  readonly what: PlanInput['what'] | null;
  readonly refusal: PlannedRefusal | null;
}

/** Every method throws ClientError only. */
export class PlanClient {
  private readonly options: PlanClientOptions;
  private readonly calls: TemporalCalls;

  constructor(options: PlanClientOptions) {
    this.options = options;
    this.calls = new TemporalCalls(options);
  }

  /** `refused`: what was found against it before. @throws ClientError UnknownOperation, TemporalUnreachable */
  async plan(
    call: PlannedCall,
    settings: OperationSettings,
    refused: PlannedRefusal | null = null,
  ): Promise<OperationPlan> {
    const { client, cluster } = this.options;
    const state = await client.queryState();
    const { what, refusal } =
      call.kind === 'cancel' ? await this.askCancel(call.operationId) : askStart(state, call, refused);
    const planned = what === null ? NOTHING_PLANNED : await this.run({ ...settings, cluster, what });
    const { kind } = call;
    const facts = { kind, plan: planned, records: state.operations, timings: settings.timings };
    const duration = durationOf({ ...facts, routers: settings.routerUrls.length });
    return { ...planned, kind, refusal: refusal ?? planned.refusal, duration };
  }

  private async askCancel(operationId: string): Promise<Asked> {
    const { client } = this.options;
    const [state, { isRunning }] = await Promise.all([
      client.recallOperation(operationId),
      client.describeOperation(operationId),
    ]);
    const { progress, shards, wasAnnounced, donors } = state;
    const refusal = refusalOf(() => {
      refuseCancel(progress, parseOperationId(operationId)?.kind !== 'recover');
      // One that was ended from outside still answers that it runs.
      if (!isRunning)
        throw new DomainError('OperationEnded', `operation ${operationId} has ended: there is nothing to cancel`);
    });
    if (refusal !== null) return { what: null, refusal };
    const copied = Object.values(donors).reduce(
      (sum, donor) => ({
        rows: sum.rows + (donor?.pointsCopied ?? 0),
        bytes: sum.bytes + (donor?.bytesCopied ?? 0),
      }),
      { rows: 0, bytes: 0 },
    );
    const isCopying = progress.phase === 'copy';
    const so: CancelledSoFar = {
      of: progress.kind,
      shards,
      begun: progress.phases.map(({ phase }) => phase),
      wasAnnounced,
      rows: isCopying ? Math.max(copied.rows, progress.pointsDone) : copied.rows,
      bytes: isCopying ? Math.max(copied.bytes, progress.bytesDone) : copied.bytes,
    };
    return { what: { kind: 'cancel', ...so }, refusal: null };
  }

  private async run(input: PlanInput): Promise<PlannedOperation> {
    const { cluster, answerMs = PLAN_LIFE_MS } = this.options;
    try {
      return await this.calls.withinMs(answerMs, async () => {
        const handle = await this.calls.workflows.start(PLAN_WORKFLOW, {
          workflowId: planWorkflowId(cluster, randomUUID()),
          taskQueue: taskQueue(cluster),
          args: [input],
          workflowExecutionTimeout: PLAN_LIFE_MS,
          staticSummary: `plan of ${cluster}: ${input.what.kind}`,
          staticDetails: `Says what an operation on the cluster **${cluster}** would do. Changes nothing.`,
        });
        return (await handle.result()) as PlannedOperation;
      });
    } catch (error) {
      if (!(error instanceof WorkflowFailedError)) throw queryError(error);
      const message = `the plan was not made within ${PLAN_LIFE_MS / 1000} s: look at the workers of this cluster`;
      throw new ClientError('TemporalUnreachable', message, { cause: error });
    }
  }
}

type Start = Exclude<PlannedCall, { kind: 'cancel' }>;

/** Asks the functions that would refuse it in the cluster's workflow. They change a copy of the state, which is dropped. */
function askStart(state: ClusterState, call: Start, refused: PlannedRefusal | null): Asked {
  const refusal =
    refused ??
    refusalOf(() => {
      stateOnceBegun(state, lockRequestOf(call));
      if (call.kind === 'check' || call.kind === 'repair') requireParties(state.map, call.request);
    });
  if (refusal !== null) return { what: { kind: 'refused', of: call.kind }, refusal };
  const { lock } = stateOnceBegun(state, lockRequestOf(call));
  const own = call.kind === 'grow' || call.kind === 'drain' ? (lock?.shards ?? []) : [];
  const parties = partiesOf(state, own);
  if (call.kind === 'grow') return { what: { ...parties, kind: call.kind, request: call.request }, refusal: null };
  if (call.kind === 'drain') {
    const leaver = requireShard(parties.map, call.request.shardId);
    return { what: { ...parties, own: [leaver], kind: call.kind, request: call.request }, refusal: null };
  }
  return { what: { ...parties, kind: call.kind, request: call.request }, refusal: null };
}

function partiesOf({ map, members, identity, isInOrder }: ClusterState, own: readonly Shard[]): PlannedParties {
  const epochs = Object.fromEntries(map.shards.map(({ id }) => [id, members[id]?.epoch ?? null]));
  return { map: { ...map, shards: withGrpcUrls(map.shards, members) }, own, uid: identity.uid, epochs, isInOrder };
}

function lockRequestOf(call: Start): LockRequest | { readonly kind: 'check' } {
  switch (call.kind) {
    case 'grow':
      return { kind: 'grow', shards: call.request.shards, fromStandby: false };
    case 'drain':
      return { kind: 'drain', shardId: call.request.shardId };
    case 'repair':
    case 'check':
      return { kind: call.kind };
  }
}

function refusalOf(step: () => void): PlannedRefusal | null {
  try {
    step();
    return null;
  } catch (error) {
    if (error instanceof DomainError) return { code: error.code, detail: error.message };
    throw error;
  }
}
