import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { DefaultLogger, Runtime, type WorkflowBundle } from '@temporalio/worker';
import { temporal as proto } from '@temporalio/proto';
import { phaseOfHeaders, headersWithTrace, traceOfHeaders } from '../../src/contract/trace/headers';
import { readTrace } from '../../src/domain/trace';
import { NO_CLUSTER_LIMITS } from '../../src/domain/work-limits';
import { bundleForReplay, replayed, replayedState } from './replayed-state';

const FOLDER = join(__dirname, 'histories');
/** `<release>/<path>.binpb` */
const files = readdirSync(FOLDER, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.binpb'));

/** Of every release whose operations may still run: a file that is lost would be missed by nobody. */
const COUNTS = { '0.2': 3, '0.3': 20 };

let workflowBundle: WorkflowBundle;

beforeAll(async () => {
  Runtime.install({ logger: new DefaultLogger('ERROR', () => undefined) });
  workflowBundle = await bundleForReplay();
});

type History = proto.api.history.v1.History;
const { History } = proto.api.history.v1;
const read = (file: string): History => History.decode(readFileSync(join(FOLDER, file)));
const replay = (history: History) => replayedState(workflowBundle, history);

/** Adds these fields to each answer of the cluster to a transition. Returns how many there are. */
function tellMore({ events }: History, told: object): number {
  const asked = new Set<string>();
  let answers = 0;
  for (const event of events) {
    const scheduled = event.activityTaskScheduledEventAttributes;
    if (scheduled?.activityType?.name === 'changeCluster') asked.add(String(event.eventId));
    const completed = event.activityTaskCompletedEventAttributes;
    const [payload] = completed?.result?.payloads ?? [];
    if (payload?.data == null || !asked.has(String(completed?.scheduledEventId))) continue;
    const answer = JSON.parse(Buffer.from(payload.data).toString()) as object;
    payload.data = Buffer.from(JSON.stringify({ ...answer, ...told }));
    answers += 1;
  }
  return answers;
}

describe('the workflows of this version', () => {
  it('have a recorded history for every one of them and for every path', () => {
    const paths = files.map((file) => basename(file, '.binpb'));
    expect(new Set(paths)).toEqual(
      new Set([
        'cluster',
        'grow-succeeded',
        'grow-refused',
        'grow-cancelled',
        'grow-continued-first-run',
        'grow-continued-last-run',
        'grow-paused',
        'grow-throttled',
        'grow-held-by-hours',
        'cluster-limited',
        'plan-grow',
        'hooks',
        'drain-succeeded',
        'drain-cancelled',
        'recover-undone',
        'recover-finished',
        'check',
        'repair',
        'autoscale',
        'published',
      ]),
    );
  });

  it.each(Object.entries(COUNTS))('have all that release %s recorded: %i', (release, count) => {
    expect(files.filter((file) => file.startsWith(`${release}/`))).toHaveLength(count);
  });

  /** A rule that changes rewrites the past: the same commands, and other versions, ids or proofs. */
  it.each(files)('replay %s as it was recorded, and know the same afterwards', async (file) => {
    const known = readFileSync(join(FOLDER, file.replace(/binpb$/, 'state.json')), 'utf8');
    expect(await replay(read(file))).toEqual(JSON.parse(known));
  });

  /** As a cluster that is ahead of an operation answers it: what the operation did then, it did without these. */
  it.each(['limits of a cluster, whose window is closed,', 'a list of routers'])(
    'take no heed of %s where the history has no patch for it',
    async (what) => {
      const limits = { ...NO_CLUSTER_LIMITS, maxRowsPerS: 1, activeFrom: '00:00', activeTo: '00:01' };
      const told = what.startsWith('limits') ? { limits } : { routers: 2 };
      const file = '0.3/grow-succeeded';
      const history = read(`${file}.binpb`);
      expect(tellMore(history, told)).toBeGreaterThan(3);
      expect(await replay(history)).toEqual(JSON.parse(readFileSync(join(FOLDER, `${file}.state.json`), 'utf8')));
    },
  );

  it('do not replay a history in which another activity was called', async () => {
    const doctored = read('0.2/autoscale.binpb');
    const scheduled = doctored.events
      .map((event) => event.activityTaskScheduledEventAttributes?.activityType)
      .find((type) => type?.name === 'readLoads');
    if (scheduled) scheduled.name = 'probeStandbys';
    await expect(replay(doctored)).rejects.toThrow(/[Nn]ondeterminism|does not match/);
  });
});

describe('the trace of a caller', () => {
  const TRACE = readTrace('00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', 'a=1');
  const tracesOf = (asked: Awaited<ReturnType<typeof replayed>>['asked']) =>
    new Set(asked.map(({ headers }) => traceOfHeaders(headers)?.traceparent));

  it.each(['0.3/grow-succeeded.binpb', '0.3/grow-continued-first-run.binpb', '0.2/autoscale.binpb'])(
    'goes from the start of %s to all that it asks for, and changes nothing else',
    async (file) => {
      const history = read(file);
      const without = await replayed(workflowBundle, history);
      expect(without.asked.flatMap(({ headers }) => Object.keys(headers))).toEqual([]);

      const started = history.events[0]?.workflowExecutionStartedEventAttributes;
      if (started) started.header = { fields: headersWithTrace({}, TRACE) };
      const traced = await replayed(workflowBundle, history);
      expect(traced.state).toEqual(without.state);
      expect(traced.asked.map(({ what }) => what)).toEqual(without.asked.map(({ what }) => what));
      expect(traced.asked.length).toBeGreaterThan(2);
      expect(tracesOf(traced.asked)).toEqual(new Set([TRACE?.traceparent]));
      const follows = traced.asked.some(({ what }) => what === 'the run that follows');
      expect(follows).toBe(file.includes('continued'));
    },
  );

  it('comes with the phase that an activity is asked for in', async () => {
    const history = read('0.3/grow-succeeded.binpb');
    const started = history.events[0]?.workflowExecutionStartedEventAttributes;
    if (started) started.header = { fields: headersWithTrace({}, TRACE) };
    const { asked } = await replayed(workflowBundle, history);
    const phaseOf = (activity: string) => [
      ...new Set(asked.filter(({ what }) => what === activity).map(({ headers }) => phaseOfHeaders(headers))),
    ];
    expect(phaseOf('preflightGrow')).toEqual(['preflight']);
    expect(phaseOf('copyDonor')).toEqual(['copy']);
    expect(phaseOf('dropFromDonor')).toEqual(['drop']);
  });
});
