/** Webhooks on a real Temporal: a receiver that fails at first, one that is removed, and a history that shows no secret. */
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { HooksClient } from '../../src/client/hooks-client';
import { SecretSeal, signatureOf } from '../../src/client/hook-secrets';
import { HOOKS_WORKFLOW, hooksWorkflowId, taskQueue } from '../../src/contract/ids';
import type { HooksInput } from '../../src/contract/messages';
import { createDeliverHookNews } from '../../src/activities/hooks/deliver-hook-news';
import type { ClusterFixture, TemporalForTests } from '../support/cluster-fixture';
import { useCluster } from '../support/use-cluster';
import { waitFor } from '../support/wait-for';

const SECRET = 'a secret that no history shows';
const seal = new SecretSeal('the key of the API and of the worker');

interface Told {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly answered: number;
}

let cluster: ClusterFixture;
let temporal: TemporalForTests;
// As a worker with COORDINATOR_HOOKS_KEY has it.
const wrap: NonNullable<Parameters<typeof useCluster>[1]['wrap']> = (activities) => ({
  ...activities,
  deliverHookNews: createDeliverHookNews({ hookSeal: seal }),
});
useCluster('hooks', { points: 60, wrap }, (started, on) => {
  cluster = started;
  temporal = on;
});

let server: Server;
let told: Told[];
/** Answers of the receiver, the last one for all that follow. */
let answers: number[];
beforeEach(async () => {
  told = [];
  answers = [200];
  server = createServer((request, response) => {
    // The port was another test's a moment ago, and somebody may still poll it.
    if (request.method !== 'POST' || request.url !== '/hook') return void response.writeHead(404).end();
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      const answered = answers.length > 1 ? (answers.shift() ?? 200) : (answers[0] ?? 200);
      told.push({ headers: request.headers, body, answered });
      response.writeHead(answered).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterEach(async () => {
  await temporal.client.workflow.getHandle(hooksWorkflowId(cluster.name)).terminate();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const url = (): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
const eventsTold = (): string[] =>
  told.filter(({ answered }) => answered === 200).map(({ body }) => (JSON.parse(body) as { event: string }).event);
const handle = () => temporal.client.workflow.getHandle(hooksWorkflowId(cluster.name));

/** The whole history, with its payloads as text. */
async function historyText(): Promise<string> {
  const { events } = await handle().fetchHistory();
  return JSON.stringify(withText(events));
}

/** Protobuf's own JSON has payloads in base64. */
function withText(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('utf8');
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(withText);
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, withText(each)]));
}

const isWatching = async (): Promise<boolean> => (await historyText()).includes('startedIds');

it('tells a grow to a receiver that fails at first, signed, once each, and no history has the secret', async () => {
  const client = new HooksClient({ connection: temporal.connection, namespace: 'default', cluster: cluster.name });
  expect(await client.read()).toEqual([]);
  const events = ['operation.started', 'operation.ended'] as const;
  await client.replace([{ url: url(), events, sealed: seal.seal(SECRET, url()) }]);
  await waitFor('it knows what was there before', isWatching);

  answers = [500, 302, 200];
  await cluster.announce('told');
  await cluster.operation('told').result();
  await waitFor('both are told', () => eventsTold().length === 2);
  expect(eventsTold()).toEqual(expect.arrayContaining([...events]));
  expect(told.map(({ answered }) => answered)).toEqual(expect.arrayContaining([500, 302]));

  for (const { headers, body } of told) {
    const signature = String(headers['coordinator-signature']);
    const atS = Number(/^t=(\d+),/.exec(signature)?.[1]);
    expect(signature).toBe(signatureOf(SECRET, atS, body));
    expect(Math.abs(Date.now() / 1_000 - atS)).toBeLessThan(120);
    const read = JSON.parse(body) as Record<string, unknown>;
    expect(read).toMatchObject({ id: headers['coordinator-delivery'], cluster: cluster.name });
    expect(read['operation']).toMatchObject({ id: 'grow-told', kind: 'grow' });
  }
  const ended = told
    .map(({ body }) => JSON.parse(body) as Record<string, unknown>)
    .find((each) => each['event'] === events[1]);
  expect(ended?.['operation']).toMatchObject({ status: 'succeeded' });

  const shown = await historyText();
  expect(shown).toContain(new URL(url()).host);
  expect(shown).not.toContain(SECRET);
});

it('goes on over its runs with its hooks, and with how far news were told', async () => {
  const client = new HooksClient({ connection: temporal.connection, namespace: 'default', cluster: cluster.name });
  const input: HooksInput = { cluster: cluster.name, historyEventsMax: 12 };
  const first = await temporal.client.workflow.start(HOOKS_WORKFLOW, {
    workflowId: hooksWorkflowId(cluster.name),
    taskQueue: taskQueue(cluster.name),
    args: [input],
  });
  const hooks = await client.replace([{ url: url(), events: ['operation.started', 'operation.ended'] }]);
  await waitFor('it knows what was there before', isWatching);
  await cluster.announce('told');
  await cluster.operation('told').result();
  await waitFor('both are told', () => eventsTold().length === 2);
  await waitFor('a later run goes on', async () => (await handle().describe()).runId !== first.firstExecutionRunId);
  expect(await client.read()).toEqual(hooks);
  expect(told).toHaveLength(2);
});

it('tells a hook although another one is down, also when its history is long by then', async () => {
  const client = new HooksClient({ connection: temporal.connection, namespace: 'default', cluster: cluster.name });
  const dead = createServer((_request, response) => response.writeHead(500).end());
  await new Promise<void>((resolve) => dead.listen(0, '127.0.0.1', resolve));
  try {
    const input: HooksInput = { cluster: cluster.name, historyEventsMax: 20 };
    await temporal.client.workflow.start(HOOKS_WORKFLOW, {
      workflowId: hooksWorkflowId(cluster.name),
      taskQueue: taskQueue(cluster.name),
      args: [input],
    });
    const deadUrl = `http://127.0.0.1:${(dead.address() as AddressInfo).port}/hook`;
    const events = ['operation.started', 'operation.ended'] as const;
    await client.replace([deadUrl, url()].map((each) => ({ url: each, events })));
    await waitFor('it knows what was there before', isWatching);
    await cluster.announce('first');
    await cluster.operation('first').result();
    await waitFor('the first is told', () => eventsTold().length === 2);
    const { raw } = await handle().describe();
    expect(Number(raw.workflowExecutionInfo?.historyLength)).toBeGreaterThan(20);
    expect(raw.pendingActivities?.some(({ activityType }) => activityType?.name === 'deliverHookNews')).toBe(true);

    await cluster.announceDrain('second', 2);
    await cluster.operation('second', 'drain').result();
    await waitFor('the second is told', () => eventsTold().length === 4);
  } finally {
    await client.replace([]);
    dead.closeAllConnections();
    await new Promise((resolve) => dead.close(resolve));
  }
});

it('ends the deliveries to a hook that is removed', async () => {
  const client = new HooksClient({ connection: temporal.connection, namespace: 'default', cluster: cluster.name });
  await client.replace([{ url: url(), events: ['operation.started'] }]);
  await waitFor('it knows what was there before', isWatching);
  answers = [500];
  await cluster.announce('told');
  await waitFor('it was tried', () => told.length > 0);
  expect(told[0]?.headers['coordinator-signature']).toBeUndefined();
  expect(await client.replace([])).toEqual([]);
  await waitFor('no delivery is left', async () => {
    const { raw } = await handle().describe();
    const left = raw.pendingActivities ?? [];
    return left.every(({ activityType }) => activityType?.name !== 'deliverHookNews');
  });
  await cluster.operation('told').result();
});
