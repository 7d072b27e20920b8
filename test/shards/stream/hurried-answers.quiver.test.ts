/** ADR 27: a real shard's system holds the end of an answer back for 40 ms, unless something comes from us. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ShardGrpc } from '../../../src/shards/stream/shard-grpc';
import { SHARD_KEY } from '../../support/in-process-shard';
import { describeWithQuiver, quiverBinary, startQuiver, type RealQuiver } from '../../support/real-quiver';
import { inTime } from '../../support/shard-fixture';
import { rowOf } from '../../support/stream-fixture';

const CALLS = 31;
/** Far below 40 ms, and far above the 2 ms that a call takes. */
const LONG_MS = 25;

describeWithQuiver('real Quiver', () => {
  let dir: string;
  let quiver: RealQuiver;
  let grpc: ShardGrpc;
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'hurried-'));
    quiver = await startQuiver({ role: 'shard', binary: quiverBinary() ?? '', dataDir: dir, keys: [SHARD_KEY] });
    grpc = new ShardGrpc({ url: `http://127.0.0.1:${quiver.port + 1}`, key: SHARD_KEY });
    await fetch(`${quiver.url}/v1/collections`, {
      method: 'POST',
      headers: { authorization: `Bearer ${SHARD_KEY}`, 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'c', dim: 2, metric: 'l2', index: 'ivf' }),
    });
  });
  afterAll(async () => {
    grpc.close();
    await quiver.kill();
    await rm(dir, { recursive: true, force: true });
  });

  it('answers a question without the pause of Nagle’s algorithm', async () => {
    const ids = Array.from({ length: 50 }, (_, n) => `id-${n}`);
    const stream = grpc.upsertStream('c', inTime());
    await stream.write(ids.map((id) => rowOf(id, [1, 2], '{}')));
    await stream.end();
    const asked = ids.map((id) => Buffer.from(id));
    const times: number[] = [];
    for (let n = 0; n < CALLS; n++) {
      const beganAtMs = performance.now();
      await grpc.getPoints('c', asked, { withVector: true }, inTime());
      times.push(performance.now() - beganAtMs);
    }
    expect(times.sort((a, b) => a - b)[CALLS >> 1]).toBeLessThan(LONG_MS);
  });
});
