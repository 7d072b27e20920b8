import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { bundleWorkflowCode, DefaultLogger, Runtime, Worker, type WorkflowBundle } from '@temporalio/worker';
import { temporal as proto } from '@temporalio/proto';

const FOLDER = join(__dirname, 'histories');
/** `<release>/<path>.binpb` */
const files = readdirSync(FOLDER, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.binpb'));

let workflowBundle: WorkflowBundle;

beforeAll(async () => {
  const logger = new DefaultLogger('ERROR', () => undefined);
  Runtime.install({ logger });
  workflowBundle = await bundleWorkflowCode({ workflowsPath: require.resolve('../../src/workflows'), logger });
});

type History = proto.api.history.v1.History;
const { History } = proto.api.history.v1;
const read = (file: string): History => History.decode(readFileSync(join(FOLDER, file)));
const replay = (history: History): Promise<void> => Worker.runReplayHistory({ workflowBundle }, history, 'replayed');

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

  it.each(files)('replay %s as it was recorded', async (file) => {
    await replay(read(file));
  });

  it('do not replay a history in which another activity was called', async () => {
    const doctored = read('0.2/autoscale.binpb');
    const scheduled = doctored.events
      .map((event) => event.activityTaskScheduledEventAttributes?.activityType)
      .find((type) => type?.name === 'readLoads');
    if (scheduled) scheduled.name = 'probeStandbys';
    await expect(replay(doctored)).rejects.toThrow(/[Nn]ondeterminism|does not match/);
  });
});
