/** Writes by an old map, and shards that come back with old data, in the middle of a move: nothing acknowledged is lost. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { PlacementPlan } from '../../src/domain/placement-plan';
import type { OperationOutcome, Phase } from '../../src/domain/progress';
import { type ClusterFixture, FAST } from '../support/cluster-fixture';
import { InProcessRouter } from '../support/in-process-router';
import { SHARD_KEY, type InProcessShard } from '../support/in-process-shard';
import { useCluster } from '../support/use-cluster';
import { waitFor } from '../support/wait-for';

jest.setTimeout(110_000);

const HEADERS = { authorization: `Bearer ${SHARD_KEY}`, 'content-type': 'application/json' };
/** Of gRPC. */
const UNAVAILABLE = 14;
const TIMINGS = { ...FAST, warmUpMs: 0, inFlightMs: 300, routerPatienceMs: 20_000 };

let cluster: ClusterFixture;
let coordinator: Server;
let coordinatorUrl: string;
let router: InProcessRouter;

// Before the cluster goes, or its last polls would wait for a worker.
afterEach(async () => {
  await router.stop();
  coordinator.closeAllConnections();
  coordinator.close();
});

useCluster('old-maps', { points: 600 }, (started) => {
  cluster = started;
});

beforeEach(async () => {
  coordinator = createServer((_request, response) => {
    void cluster.map().then((map) => {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify(map));
    });
  });
  await new Promise<void>((resolve) => coordinator.listen(0, '127.0.0.1', resolve));
  coordinatorUrl = `http://127.0.0.1:${(coordinator.address() as AddressInfo).port}`;
  router = await startRouter({ port: 0, isPollingPaused: false });
});

/** A router as it comes up: live seeds as version 0. `isPollingPaused`: its first poll is still on its way. */
async function startRouter(of: { port: number; isPollingPaused: boolean }): Promise<InProcessRouter> {
  const started = new InProcessRouter({
    coordinatorUrl,
    shardUrls: cluster.donors.map((donor) => donor.url),
    shardKey: SHARD_KEY,
    pollMs: 200,
    port: of.port,
  });
  started.isPollingPaused = of.isPollingPaused;
  await started.listen();
  return started;
}

/** The router dies and comes up on the same address. A client writes in the moment before its first poll is answered. */
async function restartAndWrite(points: readonly object[]): Promise<number> {
  const port = Number(new URL(router.url).port);
  await router.stop();
  router = await startRouter({ port, isPollingPaused: true });
  const reply = await write(points);
  router.isPollingPaused = false;
  await router.poll();
  return reply;
}

async function write(points: readonly object[]): Promise<number> {
  const body = JSON.stringify({ points });
  const reply = await fetch(`${router.url}/v1/collections/docs/points`, { method: 'POST', headers: HEADERS, body });
  return reply.status;
}

async function read(id: string): Promise<string> {
  const reply = await fetch(`${router.url}/v1/collections/docs/points/${id}`, { headers: HEADERS });
  if (reply.status !== 200) return String(reply.status);
  return JSON.stringify(((await reply.json()) as { payload: unknown }).payload);
}

const plan = (): PlacementPlan => new PlacementPlan({ shards: [0, 1, 2], joining: [2], leaving: [] });
const point = (id: string, v: number): object => ({ id, vector: [v, 1, 1, 1], payload: { v } });

/** New ids of the slice that moves from this donor. */
function freshIds(donorId: number, prefix: string, wanted: number): string[] {
  const [placement, ids] = [plan(), [] as string[]];
  for (let n = 0; ids.length < wanted; n++) {
    const id = `${prefix}${n}`;
    placement.locate(Buffer.from(id));
    if (placement.owner === 2 && placement.donor === donorId) ids.push(id);
  }
  return ids;
}

function oldId(donorId: number): string {
  const placement = plan();
  const found = cluster.donors[donorId]!.ids('docs').find((id) => {
    placement.locate(Buffer.from(id));
    return placement.owner === 2 && placement.donor === donorId;
  });
  if (found === undefined) throw new Error('no point of the donor moves');
  return found;
}

const announce = (inFlightMs = TIMINGS.inFlightMs) =>
  cluster.announce('a', { routerUrls: [router.url], timings: { ...TIMINGS, inFlightMs } });

/** Returns how many points it told to be kept on a shard that does not own them. */
async function ended(): Promise<number> {
  const { attention = [] } = (await cluster.operation('a').result()) as OperationOutcome;
  await router.poll();
  return attention.reduce((sum, { points }) => sum + points, 0);
}

/**
 * All that came by an old map is on its owner. On a machine that is too busy to look in time it is kept and told
 * (`unsure` in follow.ts), and the call that is told mends it.
 */
async function expectCarried(ids: readonly string[]): Promise<{ kept: number }> {
  const kept = await ended();
  expect(await cluster.misplaced('docs')).toHaveLength(kept);
  if (kept > 0) {
    const request = { collections: null, leftovers: [], prefer: [] };
    await cluster.begin('repair', { ...cluster.input('mend'), request, timings: TIMINGS });
    await cluster.operation('mend', 'repair').result();
    await router.poll();
  }
  const missing: string[] = [];
  for (const id of ids) if (!(await read(id)).startsWith('{')) missing.push(id);
  expect(missing).toEqual([]);
  expect(await cluster.misplaced('docs')).toEqual([]);
  return { kept };
}

/** Runs once, in the given phase, when a shard is asked over gRPC, or is read. */
function onceInPhase(shard: InProcessShard, phase: Phase, path: RegExp, run: () => Promise<void>): { done: boolean } {
  const state = { done: false };
  let isBusy = false;
  shard.faults.add({
    match: { method: 'GRPC', path },
    fault: {
      kind: 'beforeReply',
      run: async () => {
        // The passes of two donors may ask at once.
        if (isBusy) return;
        isBusy = true;
        if ((await cluster.progress('a')).phase !== phase) isBusy = false;
        if (!isBusy) return;
        await run();
        state.done = true;
      },
    },
  });
  return state;
}

describe('a router with live seeds that restarts', () => {
  it('in the middle of the clean pass: what it writes to the donor alone reaches the owner before the flip', async () => {
    const [fresh, old] = [freshIds(0, 'fresh', 1)[0]!, oldId(0)];
    let acknowledged = 0;
    const struck = onceInPhase(cluster.joiner, 'reconcile', /GetPoints/, async () => {
      acknowledged = await restartAndWrite([point(fresh, 777), point(old, 888)]);
    });
    await announce();
    await cluster.operation('a').result();
    await router.poll();
    expect([struck.done, acknowledged]).toEqual([true, 200]);
    expect([await read(fresh), await read(old)]).toEqual(['{"v":777}', '{"v":888}']);
    expect(await cluster.misplaced('docs')).toEqual([]);
  });

  it('after the flip, before the drop: what it writes to the donor alone is carried to the owner', async () => {
    const [fresh, old] = [freshIds(0, 'late', 1)[0]!, oldId(0)];
    let acknowledged = 0;
    const struck = cluster.donors[0]!.faults.add({
      match: { method: 'GRPC', path: /Replicate/, nth: 2 },
      fault: {
        kind: 'before',
        run: async () => {
          acknowledged = await restartAndWrite([point(fresh, 999), point(old, 998)]);
        },
      },
    });
    await announce();
    await expectCarried([fresh, old]);
    expect([struck.hits, acknowledged]).toEqual([1, 200]);
    expect([await read(fresh), await read(old)]).toEqual(['{"v":999}', '{"v":998}']);
    expect((await cluster.state()).notices).toMatchObject([{ code: 'RouterServesSeeds' }]);
  });
});

it('a write by the map before that ends within the in-flight time is copied, also where no tail tells of it', async () => {
  const ids = freshIds(0, 'short', 20);
  for (const shard of [...cluster.donors, cluster.joiner]) {
    shard.faults.add({ match: { method: 'GRPC', path: /./ }, fault: { kind: 'status', status: UNAVAILABLE } });
  }
  let release = (): void => undefined;
  const isReleased = new Promise<void>((resolve) => (release = resolve));
  const held = cluster.donors[0]!.faults.add({
    match: { method: 'POST', path: /docs\/points$/, nth: 1 },
    fault: { kind: 'before', run: () => isReleased },
  });
  const write20 = write(ids.map((id, index) => point(id, index)));
  await held.struck;
  await announce(5_000);
  await cluster.inPhase('a', 'copy');
  await delay(3_000);
  release();
  expect(await write20).toBe(200);
  await expectCarried(ids);
});

it('a bulk that a donor holds for longer than the in-flight time is readable afterwards', async () => {
  const ids = freshIds(0, 'bulk', 500);
  const [donor] = cluster.donors;
  const held = donor!.faults.add({
    match: { method: 'POST', path: /docs\/points$/, nth: 1 },
    fault: { kind: 'slow', ms: 12_000 },
  });
  const bulk = write(ids.map((id, index) => point(id, index)));
  await held.struck;
  await announce(5_000);
  await cluster.operation('a').result();
  expect(await bulk).toBe(200);
  await waitFor('the router holds the map', async () => router.map.version === (await cluster.map()).version);
  await expectCarried(ids);
});

describe('a write that a donor gets while the map has flipped and a router does not know it yet', () => {
  /** The router holds the map of the copy until `meanwhile` is over. The operation goes on. */
  async function whileRouterLags(meanwhile: () => Promise<void>): Promise<void> {
    await announce();
    await waitFor('the router holds the joining shard', async () => {
      await router.poll();
      return router.map.joining.length > 0;
    });
    router.isPollingPaused = true;
    await cluster.inPhase('a', 'await-routers-after');
    await meanwhile();
    router.isPollingPaused = false;
  }

  /** A bulk for the donor alone, by the map before the move. It arrives there when `release` is called. */
  async function heldBulk(ids: readonly string[]): Promise<{ release: () => Promise<void> }> {
    let release = (): void => undefined;
    const isReleased = new Promise<void>((resolve) => (release = resolve));
    const held = cluster.donors[0]!.faults.add({
      match: { method: 'POST', path: /docs\/points$/, nth: 1 },
      fault: { kind: 'before', run: () => isReleased },
    });
    const bulk = write(ids.map((id, index) => point(id, index)));
    await held.struck;
    return {
      release: async () => {
        release();
        expect(await bulk).toBe(200);
      },
    };
  }

  it('goes on to the owner when it came by the map before the move', async () => {
    const ids = freshIds(0, 'held', 50);
    const bulk = await heldBulk(ids);
    await whileRouterLags(bulk.release);
    await expectCarried(ids);
  });

  it('is kept, told and mended by the call that is told, when it is looked at too late', async () => {
    const ids = freshIds(0, 'held', 50);
    const bulk = await heldBulk(ids);
    await whileRouterLags(async () => {
      // A look at a dual write takes so long that the next one cannot tell any more (IN_TIME_MS in follow.ts).
      const slow = cluster.donors[0]!.faults.add({
        match: { method: 'GRPC', path: /GetPoints/, nth: 1 },
        fault: { kind: 'slow', ms: 1_500 },
      });
      expect(await write([point(freshIds(0, 'dual', 1)[0]!, 1)])).toBe(200);
      await slow.struck;
      await bulk.release();
      await delay(1_500);
    });
    expect(await expectCarried(ids)).toEqual({ kept: 50 });
  });

  it('is not brought back when a client has deleted it meanwhile', async () => {
    const ids = freshIds(0, 'dual', 50);
    await whileRouterLags(async () => {
      expect(await write(ids.map((id, index) => point(id, index)))).toBe(200);
      // Sooner, a look that comes late cannot tell it from a write that never reached its owner (IN_TIME_MS in follow.ts).
      await delay(350);
      router.isPollingPaused = false;
      await router.poll();
      const body = JSON.stringify({ ids });
      const url = `${router.url}/v1/collections/docs/points`;
      expect((await fetch(url, { method: 'DELETE', headers: HEADERS, body })).status).toBe(200);
    });
    const kept = await ended();
    for (const id of ids) expect(await read(id)).toBe('404');
    expect(await cluster.misplaced('docs')).toHaveLength(kept);
  });
});

describe('a leaver that loses rows in the middle of its drain, and shows its identity all the same', () => {
  it('is not believed: no copy of what it lacks is deleted', async () => {
    const leaver = cluster.donors[1]!;
    const total = cluster.allIds('docs').length;
    let copied = 0;
    // The pass asks the new owner for what the leaver has told.
    cluster.donors[0]!.faults.add({
      match: { method: 'GRPC', path: /GetPoints/, nth: 1 },
      fault: {
        kind: 'before',
        run: () => {
          copied = cluster.donors[0]!.ids('docs').length;
          leaver.delete('docs', ...leaver.ids('docs').slice(10));
        },
      },
    });
    await cluster.announceDrain('d', 1, { routerUrls: [router.url], timings: TIMINGS });
    await cluster.operation('d', 'drain').result();
    expect(copied).toBe(total);
    // What the leaver lacks stays where it was copied to.
    expect(cluster.donors[0]!.ids('docs')).toHaveLength(total);
  });
});

it('a worker that dies between the clean pass and the drop leaves nothing behind', async () => {
  await announce();
  await cluster.inPhase('a', 'await-routers-after');
  await cluster.killWorker();
  await delay(200);
  await cluster.startWorker();
  await cluster.operation('a').result();
  expect(await cluster.misplaced('docs')).toEqual([]);
  expect(cluster.allIds('docs')).toHaveLength(600);
});
