/** The witness on a real Temporal with the real workflow, and its copy in a file. */
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, type Connection } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime, Worker, type WorkflowBundleOption } from '@temporalio/worker';
import { pino } from 'pino';
import { seedState } from '../../../src/domain/cluster-state';
import { witnessedPart, type WitnessedState } from '../../../src/domain/witnessed';
import { announce, reserve } from '../../../src/domain/lock-transitions';
import { readStateFile } from '../../../src/config/first-state';
import { Witness } from '../../../src/client/cluster/witness';
import { WitnessFile } from '../../../src/client/cluster/witness-file';
import type { WitnessInput } from '../../../src/contract/messages';
import { WITNESS_WORKFLOW, witnessWorkflowId, taskQueue } from '../../../src/contract/ids';
import { connectTo, sharedTemporal, sharedWorkflowBundle } from '../../support/temporal';
import { waitFor } from '../../support/wait-for';

const at = (name: string) => ({ primary_url: `http://${name}:6333`, replica_urls: [] });
const SEED = seedState([at('s0'), at('s1')]);
const version = (n: number, nextId = 2): WitnessedState => ({ map: { ...SEED.map, version: n }, nextId, lock: null });
const request = { kind: 'grow', shards: [at('s2')], fromStandby: false } as const;
const LOCKED = witnessedPart(announce(reserve(SEED, { operationId: 'grow-a', request, nowMs: 1 }), 'grow-a'));

let dir: string;
let logged: Record<string, unknown>[];
const logger = pino({}, { write: (line: string) => void logged.push(JSON.parse(line) as Record<string, unknown>) });
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'witness-'));
  logged = [];
});
afterEach(() => {
  chmodSync(dir, 0o700);
  rmSync(dir, { recursive: true, force: true });
});
const inFile = (name: string): WitnessFile => new WitnessFile(join(dir, name), logger);

describe('the file', () => {
  it('keeps map, next id and lock whole, and is a state file that QUIVER_COORDINATOR_STATE reads', async () => {
    const file = inFile('p.json');
    await file.writeCopy(LOCKED, 'l');
    expect(await file.readCopy()).toEqual({ kind: 'known', state: LOCKED, lineage: 'l' });
    expect(readStateFile(file.path)).toMatchObject({ map: LOCKED.map, nextId: 3 });
    expect(readdirSync(dir)).toEqual(['p.json']);
  });

  it('keeps a list of routers that was made by hand, also when a worker of before writes it without one', async () => {
    const file = inFile('p.json');
    const routers = { entries: ['http://r0'], isByHand: true };
    await file.writeCopy({ ...version(4), routers }, 'l');
    await file.writeCopy(version(5), 'l');
    expect(await file.readCopy()).toMatchObject({ state: { map: { version: 5 }, routers } });
  });

  it('makes its folder, and is not lowered by a state that comes late', async () => {
    const file = inFile('deep/er/p.json');
    await file.writeCopy(version(5), 'l');
    await file.writeCopy(version(4), 'l');
    expect(await file.readCopy()).toMatchObject({ state: { map: { version: 5 } } });
  });

  it('is replaced by a lower version of another record, because it then is of another cluster', async () => {
    const file = inFile('p.json');
    await file.writeCopy(version(5), 'of another');
    await file.writeCopy(version(1), 'l');
    expect(await file.readCopy()).toMatchObject({ state: { map: { version: 1 } }, lineage: 'l' });
  });

  it('that cannot be written fails nothing and is logged once', async () => {
    mkdirSync(join(dir, 'p.json'));
    const file = inFile('p.json');
    await file.writeCopy(version(1), 'l');
    await file.writeCopy(version(2), 'l');
    expect(logged).toMatchObject([{ level: 40, file: file.path }]);
    expect(readdirSync(dir)).toEqual(['p.json']);
  });

  it.each([
    ['is no JSON', '{"next'],
    ['holds no map', '{"next_id":3}'],
    [
      'has a URL that is none',
      JSON.stringify({ next_id: 9, map: { ...SEED.map, shards: [{ id: 0, primary_url: 's' }] } }),
    ],
  ])('that %s is unreadable, which is not the same as absent', async (_what, text) => {
    const file = inFile('p.json');
    expect(await file.readCopy()).toEqual({ kind: 'absent' });
    writeFileSync(file.path, text);
    expect((await file.readCopy()).kind).toBe('unreadable');
  });

  it('with a lock that this version does not know still tells its map', async () => {
    const file = inFile('p.json');
    writeFileSync(file.path, JSON.stringify({ next_id: 2, map: SEED.map, lock: { kind: 'merge' } }));
    expect(await file.readCopy()).toEqual({ kind: 'known', state: version(1), lineage: null });
  });
});

describe('the record', () => {
  let connection: Connection;
  let native: NativeConnection;
  let client: Client;
  let workflowBundle: WorkflowBundleOption;
  let worker: Worker;
  let run: Promise<void>;
  let clusters = 0;
  let cluster: string;
  const never = new AbortController().signal;
  const QUEUE = 'witness-test';

  beforeAll(async () => {
    Runtime.install({ logger: new DefaultLogger('ERROR'), shutdownSignals: [] });
    const { address } = await sharedTemporal();
    connection = await connectTo(address);
    native = await NativeConnection.connect({ address });
    client = new Client({ connection });
    workflowBundle = await sharedWorkflowBundle();
  });
  afterAll(async () => {
    await connection.close();
    await native.close();
  });
  beforeEach(async () => {
    cluster = `${QUEUE}-${process.pid}-${++clusters}`;
    worker = await Worker.create({ connection: native, taskQueue: taskQueue(cluster), workflowBundle });
    run = worker.run();
  });
  afterEach(async () => {
    if (worker.getState() === 'RUNNING') worker.shutdown();
    await run;
    const handle = client.workflow.getHandle(witnessWorkflowId(cluster));
    await handle.terminate().catch(() => undefined);
  });

  const witness = (file: WitnessFile | null = null): Witness =>
    new Witness({ connection, namespace: 'default', cluster, file, stopping: never, timeouts: { queryMs: 5_000 } });

  it('remembers nothing at first, and begins with the first state, whichever comes first', async () => {
    expect(await witness().lastRemembered()).toBeNull();
    await Promise.all([witness().remember(LOCKED), witness().remember(version(4, 3))]);
    expect(await witness().lastRemembered()).toEqual(version(4, 3));
  });

  it('keeps the lock of the state that it was given', async () => {
    await witness().remember(LOCKED);
    expect(await witness().lastRemembered()).toEqual(LOCKED);
  });

  it('is not lowered by states that arrive late, nor is its file', async () => {
    const file = inFile('p.json');
    for (const n of [3, 7, 5, 1]) await witness(file).remember(version(n));
    expect(await witness(file).lastRemembered()).toEqual(version(7));
    expect(await file.readCopy()).toMatchObject({ state: version(7) });
  });

  it('survives continue-as-new, with every state that comes meanwhile', async () => {
    const input: WitnessInput = { kept: null, historyEventsMax: 20 };
    const started = await client.workflow.start(WITNESS_WORKFLOW, {
      workflowId: witnessWorkflowId(cluster),
      taskQueue: taskQueue(cluster),
      args: [input],
    });
    const { lineage } = (await witness().readRecord())!;
    for (let n = 1; n <= 12; n++) await witness().remember(version(n));
    await waitFor('a second run', async () => {
      const { runId } = await client.workflow.getHandle(witnessWorkflowId(cluster)).describe();
      return runId !== started.firstExecutionRunId;
    });
    expect(await witness().readRecord()).toEqual({ state: version(12), lineage });
  });

  it('that was terminated is still known, and goes on with what it held when it is given a lower version', async () => {
    const mine = witness();
    await mine.remember(version(6));
    await client.workflow.getHandle(witnessWorkflowId(cluster)).terminate('by a test');
    expect(await mine.lastRemembered()).toEqual(version(6));
    await mine.remember(version(2));
    expect(await mine.lastRemembered()).toEqual(version(6));
  });

  it('is overtaken by its own file, as after an old backup of Temporal, but not by one of another cluster', async () => {
    const file = inFile('p.json');
    await witness(file).remember(version(3));
    const { lineage } = (await witness().readRecord())!;
    await file.writeCopy(version(8), lineage);
    expect(await witness(file).lastRemembered()).toEqual(version(8));
    await file.writeCopy(version(9), 'of another');
    expect(JSON.parse(readFileSync(file.path, 'utf8'))).toMatchObject({ map: { version: 9 } });
    expect(await witness(file).lastRemembered()).toEqual(version(3));
  });

  it('fails without a worker, and is not taken for absent', async () => {
    await witness().remember(version(3));
    worker.shutdown();
    await run;
    const hasty = new Witness({
      connection,
      namespace: 'default',
      cluster,
      file: null,
      stopping: never,
      timeouts: { queryMs: 500 },
    });
    await expect(hasty.lastRemembered()).rejects.toThrow();
  });
});
