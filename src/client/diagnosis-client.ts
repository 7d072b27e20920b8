/**
 * Looks at what an operator's machine cannot see. That is Temporal as the API sees it, and shards and disk as a worker sees them. What
 * cannot be asked is a finding and no failure (INV-8). The whole takes some 17 s at most.
 */
import { randomUUID } from 'node:crypto';
import { WorkflowFailedError, isGrpcServiceError } from '@temporalio/client';
import { DIAGNOSIS_LIFE_MS, DIAGNOSIS_WORKFLOW, diagnosisWorkflowId, taskQueue } from '../contract/ids';
import type { DiagnosisInput, DiagnosisResult } from '../contract/messages';
import { CLUSTER_ATTRIBUTE, PHASE_ATTRIBUTE } from '../contract/search-attributes';
import { skewBetween } from '../domain/clock-skew';
import { withGrpcUrls } from '../domain/members';
import type { ClusterClient } from './cluster-client';
import { queryError, TemporalCalls, type TemporalCallsOptions } from './calls/calls';

const CALL_TIMEOUT_MS = 3_000;
const ANSWER_MS = DIAGNOSIS_LIFE_MS;
/** Temporal forgets a poller after five minutes. */
export const POLLERS_SHOWN_MAX = 64;
/** `INVALID_ARGUMENT` of gRPC. */
const INVALID_ARGUMENT = 3;
/** Values of Temporal's TaskQueueType. */
type Takes = 'workflows' | 'activities';
type QueueType = NonNullable<
  Parameters<TemporalCallsOptions['connection']['workflowService']['describeTaskQueue']>[0]['taskQueueType']
>;
/** `TaskQueueType` of Temporal's API, whose package is none of the program. */
const TASK_QUEUE_TYPES = { workflows: 1, activities: 2 } as unknown as Record<Takes, QueueType>;

/** One process that asks Temporal for tasks of this cluster. */
export interface Poller {
  /** As it names itself: mostly its process id and machine. */
  readonly identity: string;
  readonly takes: readonly Takes[];
  readonly lastSeenMs: number | null;
}

/** Null, in each of them: it was not told. */
export interface SeenTemporal {
  readonly namespace: string;
  readonly version: string | null;
  readonly retentionMs: number | null;
  /** By name: does the namespace know it? */
  readonly searchAttributes: Readonly<Record<string, boolean | null>>;
  readonly pollers: readonly Poller[] | null;
  readonly pollersLeftOut: number;
  /** Why something was not told; null: all was. */
  readonly problem: string | null;
}

export interface Diagnosis {
  readonly temporal: SeenTemporal;
  /** Of this API against Temporal; null when no worker answered. */
  readonly apiSkewMs: number | null;
  readonly seen: DiagnosisResult | { readonly problem: string };
  readonly tookMs: number;
}

export interface DiagnosisClientOptions extends TemporalCallsOptions {
  readonly client: Pick<ClusterClient, 'queryState'>;
  readonly answerMs?: number;
}

type Asked<T> = { readonly value: T } | { readonly problem: string };

export class DiagnosisClient {
  private readonly options: DiagnosisClientOptions;
  private readonly calls: TemporalCalls;

  constructor(options: DiagnosisClientOptions) {
    this.options = options;
    this.calls = new TemporalCalls(options);
  }

  /** Never rejects because of what it finds. */
  async examine(): Promise<Diagnosis> {
    const beganMs = Date.now();
    const [temporal, ofWorker] = await Promise.all([this.lookAtTemporal(), this.askWorker()]);
    return { temporal, ...ofWorker, tookMs: Date.now() - beganMs };
  }

  private async lookAtTemporal(): Promise<SeenTemporal> {
    const { connection, namespace } = this.options;
    const { workflowService } = connection;
    const names = [CLUSTER_ATTRIBUTE.name, PHASE_ATTRIBUTE.name];
    const [system, described, pollers, attributes] = await Promise.all([
      this.ask(() => workflowService.getSystemInfo({})),
      this.ask(() => workflowService.describeNamespace({ namespace })),
      this.ask(() => this.pollers()),
      Promise.all(names.map(async (name) => ({ name, known: await this.ask(() => this.knows(name)) }))),
    ]);
    const asked: readonly Asked<unknown>[] = [system, described, pollers, ...attributes.map(({ known }) => known)];
    const [problem = null] = asked.flatMap((each) => ('problem' in each ? [each.problem] : []));
    const ttl = valueOf(described)?.config?.workflowExecutionRetentionTtl;
    const shown = valueOf(pollers)?.slice(0, POLLERS_SHOWN_MAX) ?? null;
    return {
      namespace,
      version: valueOf(system)?.serverVersion || null,
      retentionMs: ttl?.seconds == null ? null : Number(ttl.seconds) * 1_000,
      searchAttributes: Object.fromEntries(attributes.map(({ name, known }) => [name, valueOf(known)])),
      pollers: shown,
      pollersLeftOut: (valueOf(pollers)?.length ?? 0) - (shown?.length ?? 0),
      problem,
    };
  }

  private async pollers(): Promise<readonly Poller[]> {
    const { connection, namespace, cluster } = this.options;
    const byIdentity = new Map<string, Poller>();
    for (const takes of Object.keys(TASK_QUEUE_TYPES) as Takes[]) {
      const { pollers } = await connection.workflowService.describeTaskQueue({
        namespace,
        taskQueue: { name: taskQueue(cluster) },
        taskQueueType: TASK_QUEUE_TYPES[takes],
      });
      for (const { identity, lastAccessTime } of pollers) {
        const name = identity ?? '';
        const before = byIdentity.get(name);
        const lastSeenMs = lastAccessTime?.seconds == null ? null : Number(lastAccessTime.seconds) * 1_000;
        byIdentity.set(name, {
          identity: name,
          takes: [...new Set([...(before?.takes ?? []), takes])],
          lastSeenMs: latest(before?.lastSeenMs ?? null, lastSeenMs),
        });
      }
    }
    return [...byIdentity.values()].sort((a, b) => (b.lastSeenMs ?? 0) - (a.lastSeenMs ?? 0));
  }

  /** A query by an attribute that the namespace does not know is refused. A key may be kept from listing them. */
  private async knows(name: string): Promise<boolean> {
    const { connection, namespace } = this.options;
    try {
      await connection.workflowService.countWorkflowExecutions({ namespace, query: `${name} = "none"` });
      return true;
    } catch (error) {
      if (isGrpcServiceError(error) && (error.code as number) === INVALID_ARGUMENT) return false;
      throw error;
    }
  }

  private async askWorker(): Promise<Pick<Diagnosis, 'apiSkewMs' | 'seen'>> {
    try {
      const { map, members, identity } = await this.options.client.queryState();
      const epochs = Object.fromEntries(map.shards.map(({ id }) => [id, members[id]?.epoch ?? null]));
      const input: DiagnosisInput = { shards: withGrpcUrls(map.shards, members), uid: identity.uid, epochs };
      const sentMs = Date.now();
      const seen = await this.run(input);
      return { seen, apiSkewMs: 0 - skewBetween(seen.startedAtMs, { sentMs, answeredMs: Date.now() }) };
    } catch (error) {
      return { seen: { problem: reasonOf(error) }, apiSkewMs: null };
    }
  }

  private run(input: DiagnosisInput): Promise<DiagnosisResult> {
    const { cluster, answerMs = ANSWER_MS } = this.options;
    return this.calls.withinMs(answerMs, async () => {
      const handle = await this.calls.workflows.start(DIAGNOSIS_WORKFLOW, {
        workflowId: diagnosisWorkflowId(cluster, randomUUID()),
        taskQueue: taskQueue(cluster),
        args: [input],
        workflowExecutionTimeout: DIAGNOSIS_LIFE_MS,
        staticSummary: `doctor of ${cluster}`,
        staticDetails: `Looks at the worker and at the shards of the cluster **${cluster}**. Changes nothing.`,
      });
      return (await handle.result()) as DiagnosisResult;
    });
  }

  private async ask<T>(call: () => Promise<T>): Promise<Asked<T>> {
    try {
      return { value: await this.calls.withinMs(CALL_TIMEOUT_MS, call) };
    } catch (error) {
      return { problem: reasonOf(error) };
    }
  }
}

function valueOf<T>(asked: Asked<T>): T | null {
  return 'value' in asked ? asked.value : null;
}

function latest(a: number | null, b: number | null): number | null {
  if (a === null || b === null) return a ?? b;
  return Math.max(a, b);
}

function reasonOf(error: unknown): string {
  if (error instanceof WorkflowFailedError) {
    return `no worker looked at everything within ${DIAGNOSIS_LIFE_MS / 1_000} s: look at the log of the workers`;
  }
  return queryError(error).message;
}
