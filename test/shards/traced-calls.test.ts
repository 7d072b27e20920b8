/** What a shard and a router are sent of the trace that a call is a part of. */
import { createProbe } from '../../src/api/http/shard-probe';
import { readTrace, type TraceContext } from '../../src/domain/trace';
import { RouterWatch } from '../../src/shards/http/router-watch';
import { markRouter } from '../../src/shards/http/router-client';
import { ShardClient, type CallContext } from '../../src/shards/http/shard-client';
import { ShardGrpc } from '../../src/shards/stream/shard-grpc';
import { inTrace } from '../../src/tracing/current';
import { SHARD_KEY, startShard, type InProcessShard } from '../support/in-process-shard';
import { json, StubShard } from '../support/stub-shard';
import { waitFor } from '../support/wait-for';

const trace = (digit: string, tracestate: string | null = null): TraceContext =>
  readTrace(`00-${digit.repeat(32)}-${digit.repeat(16)}-01`, tracestate) as TraceContext;
const AROUND = trace('a', 'v=1');
const OF_JOB = trace('b');
const inTime = (more: Partial<CallContext> = {}): CallContext => ({ deadlineMs: Date.now() + 20_000, ...more });

let shard: InProcessShard;
let rest: ShardClient;
let grpc: ShardGrpc;
beforeEach(async () => {
  shard = await startShard();
  shard.create({ name: 'docs', dim: 2 });
  rest = new ShardClient({ address: { primary_url: shard.url, replica_urls: [] }, key: SHARD_KEY });
  grpc = new ShardGrpc({ url: shard.grpcUrl, key: SHARD_KEY });
});
afterEach(async () => {
  grpc.close();
  await shard.stop();
});

async function callBoth(ctx: CallContext): Promise<(string | undefined)[]> {
  shard.requests.length = 0;
  await rest.listCollections(ctx);
  await grpc.listCollections(ctx);
  const stream = grpc.replicate(ctx);
  for await (const _events of stream) break;
  return shard.requests.map(({ traceparent }) => traceparent);
}

describe('a call of a shard, over REST and over gRPC', () => {
  it('carries the trace of the code around it', async () => {
    const { traceparent } = AROUND;
    expect(await inTrace(AROUND, () => callBoth(inTime()))).toEqual([traceparent, traceparent, traceparent]);
  });

  it('carries the trace that its caller names, as in the thread that moves rows', async () => {
    const { traceparent } = OF_JOB;
    expect(await callBoth(inTime({ trace: OF_JOB }))).toEqual([traceparent, traceparent, traceparent]);
    expect(await inTrace(AROUND, () => callBoth(inTime({ trace: OF_JOB })))).toContain(traceparent);
  });

  it('carries none without one', async () => {
    expect(await callBoth(inTime())).toEqual([undefined, undefined, undefined]);
  });
});

describe('over REST', () => {
  let stub: StubShard;
  beforeEach(async () => {
    stub = await new StubShard((response) => json(response, { version: 1, shards: [] })).start();
  });
  afterEach(() => stub.stop());

  it('the probe of a shard and a mark on a router carry it, with what other systems added', async () => {
    await inTrace(AROUND, async () => {
      await createProbe()(stub.url);
      await markRouter(stub.url, 'm', SHARD_KEY, inTime());
    });
    const both = { traceparent: AROUND.traceparent, tracestate: 'v=1' };
    expect(stub.received.map(({ headers }) => headers)).toMatchObject([both, both]);
  });

  it('a watch over routers outlives the step that opened it, so its questions are of no trace', async () => {
    const watch = inTrace(AROUND, () => new RouterWatch({ routerUrls: [stub.url], key: SHARD_KEY }));
    await waitFor('two questions', () => stub.received.length >= 2);
    await watch.close();
    expect(stub.received.filter(({ headers }) => 'traceparent' in headers)).toEqual([]);
  });
});
