/**
 * A cluster of many shards and collections: what its operations cost Temporal, and how long they take. The shards are in this
 * process, and the worker is the built one in another.
 */
import { Client, type WorkflowHandle } from '@temporalio/client';
import { DATA_CONVERTER } from '../src/client/calls/large-payloads';
import { evaluationWorkflowId, taskQueue } from '../src/contract/ids';
import { transitionUpdate } from '../src/contract/messages';
import { DEFAULT_POLICY } from '../src/domain/autoscale-policy';
import { DEFAULT_TIMINGS } from '../src/domain/limits';
import { PlacementPlan } from '../src/domain/placement-plan';
import { PrivateTemporal } from '../test/support/temporal';
import { ClusterFixture, pointJson, startTemporal, type TemporalForTests } from '../test/support/cluster-fixture';
import { startCoordinator, type CoordinatorProcess } from '../test/support/coordinator-process';
import { SHARD_KEY } from '../test/support/in-process-shard';
import type { Bed } from './bed';
import { ms, rowsText, type Figure } from './figures';
import type { BenchOptions } from './options';

const POINTS_PER_SHARD = 2;
const PAYLOAD_BYTES_MAX = 128 * 1024;
const NO_WAITS = { ...DEFAULT_TIMINGS, graceMs: 0, inFlightMs: 0, warmUpMs: 0 };

interface Cost {
  readonly tookMs: number;
  readonly runs: number;
  readonly events: number;
  readonly bytes: number;
  /** Of all arguments, results and carried states in all histories. */
  readonly largestPayload: { readonly bytes: number; readonly of: string };
}

export async function measureSize(bed: Bed, { sizeShards, sizeCollections }: BenchOptions): Promise<Figure[]> {
  if (sizeShards === 0) return [];
  const what = `${rowsText(sizeShards)} shards × ${rowsText(sizeCollections)} collections`;
  bed.say(`size: ${what}, ${POINTS_PER_SHARD} points of each on each shard`);
  const server = await PrivateTemporal.start();
  const temporal = await connect(server);
  const cluster = await ClusterFixture.start(temporal, 'size', {
    points: sizeShards * POINTS_PER_SHARD,
    shards: sizeShards,
  });
  fill(cluster, { shards: sizeShards, collections: sizeCollections });
  bed.say('  filled');
  // The fixture's own worker would share an event loop with a thousand shards.
  await cluster.stopWorker();
  const worker = await startWorker(cluster, server);
  const figures: Figure[] = [];
  const run = async (kind: 'check' | 'grow' | 'drain', begin: () => Promise<unknown>): Promise<void> => {
    const beganAtMs = performance.now();
    await begin();
    const announcedMs = performance.now() - beganAtMs;
    await cluster.operation('a', kind).result();
    const cost = await costOf(cluster.operation('a', kind), performance.now() - beganAtMs);
    const figure = figureOf(`${kind} of ${what}`, cost, announcedMs);
    bed.say(`  ${figure.measured}`);
    figures.push(figure);
  };
  try {
    await run('check', () => cluster.begin('check', { ...cluster.input('a'), request: EVERYTHING, timings: NO_WAITS }));
    await run('grow', () => cluster.announce('a', { timings: NO_WAITS }));
    await run('drain', () => cluster.announceDrain('a', sizeShards, { timings: NO_WAITS }));
    const evaluated = await evaluate(temporal, cluster);
    figures.push(figureOf(`an evaluation of the policy over ${what}`, evaluated, null));
    bed.say(`  ${figures.at(-1)!.measured}`);
    const cost = await costOf(cluster.cluster, 0);
    figures.push(figureOf(`the workflow of the cluster with ${what}`, cost, null));
  } finally {
    await worker.stop();
    await cluster.stop();
    await temporal.stop();
    await server.dispose();
  }
  return figures;
}

/** The built worker compresses what is large. */
async function connect(server: PrivateTemporal): Promise<TemporalForTests> {
  const temporal = await startTemporal(server);
  const { connection } = temporal;
  return { ...temporal, client: new Client({ connection, dataConverter: DATA_CONVERTER }) };
}

/** The same ids in each collection, so that the owner of each is looked for once. */
function fill({ donors }: ClusterFixture, { shards, collections }: { shards: number; collections: number }): void {
  const plan = new PlacementPlan({ shards: donors.map((_, id) => id), joining: [], leaving: [] });
  const byDonor: string[][] = donors.map(() => []);
  for (let n = 0; n < shards * POINTS_PER_SHARD; n++) {
    byDonor[plan.ownerOf(Buffer.from(`p${n}`))]?.push(pointJson(`p${n}`, n));
  }
  for (let n = 1; n < collections; n++) {
    for (const [index, donor] of donors.entries()) {
      donor.create({ name: `collection-${n}`, dim: 4, metric: 'l2', index: 'hnsw' });
      donor.put(`collection-${n}`, ...(byDonor[index] ?? []));
    }
  }
}

function startWorker({ name }: ClusterFixture, { address }: PrivateTemporal): Promise<CoordinatorProcess> {
  const env = { TEMPORAL_ADDRESS: address, COORDINATOR_CLUSTER: name, QUIVER_CLUSTER_SHARD_KEY: SHARD_KEY };
  return startCoordinator({ role: 'worker', env });
}

/** Every shard is above the mark, so it reads all loads. There is no standby to grow by. */
async function evaluate({ client }: TemporalForTests, { name, cluster }: ClusterFixture): Promise<Cost> {
  const policy = { ...DEFAULT_POLICY, enabled: true, highWaterPoints: 1 };
  await cluster.executeUpdate(transitionUpdate, { args: [{ type: 'replacePolicy', policy }] });
  const beganAtMs = performance.now();
  const evaluation = await client.workflow.start('autoscale', {
    taskQueue: taskQueue(name),
    workflowId: evaluationWorkflowId(name, 'bench'),
    args: [{ cluster: name, settings: { routerUrls: [], timings: NO_WAITS, searchAttributes: false }, dryRun: false }],
  });
  await evaluation.result();
  return costOf(evaluation, performance.now() - beganAtMs);
}

const EVERYTHING = { collections: null, leftovers: [], prefer: [] };

/** Over all runs of the workflow. */
async function costOf(workflow: WorkflowHandle, tookMs: number): Promise<Cost> {
  const { client, workflowId } = workflow;
  let [runs, events, bytes] = [0, 0, 0];
  let largestPayload = { bytes: 0, of: 'nothing' };
  for await (const { runId } of client.list({ query: `WorkflowId = '${workflowId}'` })) {
    const handle = client.getHandle(workflowId, runId);
    const { historyLength, historySize = 0 } = await handle.describe();
    runs += 1;
    events += historyLength;
    bytes += historySize;
    const history = await handle.fetchHistory();
    for (const event of history.events ?? []) {
      for (const [of, size] of payloadsOf(event)) if (size > largestPayload.bytes) largestPayload = { bytes: size, of };
    }
  }
  return { tookMs, runs, events, bytes, largestPayload };
}

/** Every `data` below an event, with the name of the event's attributes. */
function payloadsOf(event: object): [string, number][] {
  const found: [string, number][] = [];
  const visit = (name: string, value: unknown): void => {
    if (value instanceof Uint8Array) found.push([name, value.length]);
    else if (typeof value === 'object' && value !== null) for (const each of Object.values(value)) visit(name, each);
  };
  for (const [name, attributes] of Object.entries(event)) {
    if (name.endsWith('EventAttributes')) visit(name.replace('EventAttributes', ''), attributes);
  }
  return found;
}

function figureOf(what: string, cost: Cost, announcedMs: number | null): Figure {
  const { tookMs, runs, events, bytes, largestPayload } = cost;
  const kib = (size: number): string => `${rowsText(Math.round(size / 1024))} KiB`;
  const announced = announcedMs === null ? '' : `, announced after ${ms(announcedMs)}`;
  const took = tookMs === 0 ? '' : `${ms(tookMs)}${announced}; `;
  return {
    what,
    measured: `${took}${rowsText(events)} events and ${kib(bytes)} of history in ${runs} runs; largest payload ${kib(largestPayload.bytes)} (${largestPayload.of})`,
    goal: `a payload ≤ ${kib(PAYLOAD_BYTES_MAX)}`,
    isMet: largestPayload.bytes <= PAYLOAD_BYTES_MAX,
    how: `All shards are one process, on the machine of the worker. The waits for routers are 0, no index is built.`,
    values: { tookMs, runs, events, bytes, largestPayloadBytes: largestPayload.bytes },
  };
}
