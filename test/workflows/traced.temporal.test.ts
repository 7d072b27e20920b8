/** The trace of a caller, through real workflows on a real Temporal to shards in this process. */
import { WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import { Worker } from '@temporalio/worker';
import { pino } from 'pino';
import { ClusterClient } from '../../src/client/cluster-client';
import { traceOfHeaders } from '../../src/contract/trace/headers';
import { readTrace, traceIds, type TraceContext } from '../../src/domain/trace';
import { inTrace } from '../../src/tracing/current';
import type { ClusterFixture, TemporalForTests } from '../support/cluster-fixture';
import { FakeTracer, type FakeSpan } from '../support/fake-tracer';
import type { Attempt } from '../support/shard-faults';
import { useCluster } from '../support/use-cluster';
import { waitFor } from '../support/wait-for';

const traceOf = (digit: string): TraceContext =>
  readTrace(`00-${digit.repeat(32)}-${digit.repeat(16)}-01`, 'a=1') as TraceContext;
const GROWS = traceOf('a');
const CANCELS = traceOf('b');
const idOf = (trace: TraceContext): string => traceIds(trace).traceId;

let cluster: ClusterFixture;
let temporal: TemporalForTests;
const begin = (started: ClusterFixture, on: TemporalForTests): void => {
  cluster = started;
  temporal = on;
};

const client = (): ClusterClient =>
  new ClusterClient({
    connection: temporal.connection,
    namespace: 'default',
    cluster: cluster.name,
    recoverWith: null,
    logger: pino({ level: 'silent' }),
  });

const requests = (): Attempt[] => [...cluster.donors, cluster.joiner].flatMap((shard) => shard.requests);

type Event = NonNullable<Awaited<ReturnType<WorkflowHandle['fetchHistory']>>['events']>[number];
const eventsOf = async (key: string): Promise<Event[]> => (await cluster.operation(key).fetchHistory()).events ?? [];

describe('with tracing', () => {
  const tracer = new FakeTracer();
  useCluster('traced', { points: 300, tracer }, begin);
  beforeEach(() => void (tracer.spans.length = 0));

  it('a grow takes the trace of its caller along, through all its runs, to each activity and to each shard', async () => {
    await inTrace(GROWS, () => client().startOperation('grow', cluster.input('a', { historyEventsMax: 30 })));
    await cluster.operation('a').result();
    const events = await eventsOf('a');
    const started = events[0]?.workflowExecutionStartedEventAttributes;
    expect(started?.continuedExecutionRunId).not.toBe('');
    expect(traceOfHeaders(started?.header?.fields ?? {})).toEqual(GROWS);

    const spans = tracer.spans.filter(({ attributes }) => attributes['coordinator.operation.id'] === 'grow-a');
    expect(new Set(spans.map(({ trace }) => idOf(trace)))).toEqual(new Set([idOf(GROWS)]));
    expect(new Set(spans.map(({ parent }) => parent?.traceparent))).toEqual(new Set([GROWS.traceparent]));
    const phases = spans.map(({ attributes }) => attributes['coordinator.phase']);
    expect(phases).toEqual(expect.arrayContaining(['preflight', 'announce', 'copy', 'reconcile', 'promote', 'drop']));
    const copies = spans.filter(({ name }) => name === 'activity copyDonor');
    expect(copies.map(({ attributes }) => attributes['coordinator.shard.id']).sort()).toEqual([0, 1]);
    expect(spans.filter(({ ended }) => ended?.failure !== null)).toEqual([]);

    const asked = requests();
    expect(asked.filter(({ traceparent = '' }) => !traceparent.includes(idOf(GROWS)))).toEqual([]);
    expect(asked.map(({ method }) => method)).toEqual(expect.arrayContaining(['GET', 'POST', 'GRPC']));
    const known = new Set(spans.map(({ trace }) => trace.traceparent));
    expect(asked.filter(({ traceparent = '' }) => !known.has(traceparent))).toEqual([]);

    // Headers are no part of a command: the history replays as it is, and as if nobody had traced it.
    const { bundle: workflowBundle } = temporal;
    const history = await cluster.operation('a').fetchHistory();
    await Worker.runReplayHistory({ workflowBundle }, history);
    for (const event of history.events ?? []) {
      if (event.workflowExecutionStartedEventAttributes) event.workflowExecutionStartedEventAttributes.header = null;
    }
    await Worker.runReplayHistory({ workflowBundle }, history);
  });

  it('a cancel is told in the trace of whoever cancels, and the undo stays in that of the operation', async () => {
    const held = cluster.joiner.faults.add({
      match: { method: 'GRPC', path: /UpsertStream/ },
      fault: { kind: 'status', status: 14 },
    });
    await inTrace(GROWS, () => client().startOperation('grow', cluster.input('b')));
    await held.struck;
    const failed = (): FakeSpan[] => tracer.spans.filter(({ ended }) => ended !== null && ended.failure !== null);
    const isSecond = ({ attributes }: FakeSpan): boolean => attributes['coordinator.attempt'] === 2;
    await waitFor('the second attempt of a copy fails', () => failed().some(isSecond));
    await inTrace(CANCELS, () => client().cancelOperation('grow-b', 'a test'));
    await expect(cluster.operation('b').result()).rejects.toThrow(WorkflowFailedError);
    const updates = (await eventsOf('b')).flatMap(
      (event) => event.workflowExecutionUpdateAcceptedEventAttributes?.acceptedRequest?.input ?? [],
    );
    expect(updates.map(({ name, header }) => [name, traceOfHeaders(header?.fields ?? {})])).toEqual([
      ['announced', GROWS],
      ['cancel', CANCELS],
    ]);
    const undone = tracer.spans.filter(({ attributes }) => attributes['coordinator.phase'] === 'undo');
    expect(undone.length).toBeGreaterThan(0);
    expect(new Set(undone.map(({ trace }) => idOf(trace)))).toEqual(new Set([idOf(GROWS)]));
    expect(failed().find(isSecond)?.name).toBe('activity copyDonor');
  });
});

describe('without tracing', () => {
  useCluster('untraced', { points: 100 }, begin);

  it('no request and no history has a header of a trace', async () => {
    await client().startOperation('grow', cluster.input('c'));
    await cluster.operation('c').result();
    expect(requests().filter(({ traceparent }) => traceparent !== undefined)).toEqual([]);
    const headers = (await eventsOf('c')).flatMap((event) => [
      ...Object.keys(event.workflowExecutionStartedEventAttributes?.header?.fields ?? {}),
      ...Object.keys(event.activityTaskScheduledEventAttributes?.header?.fields ?? {}),
    ]);
    expect(headers).toEqual([]);
  });
});
