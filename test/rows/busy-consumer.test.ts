/** A scan that nobody reads on for a while is not one of a shard that says nothing. */
import { setTimeout as delay } from 'node:timers/promises';
import { RemoteClients } from '../../src/rows/remote/clients';
import type { RemoteJob } from '../../src/rows/remote/remote-job';
import { chooseSource } from '../../src/rows/remote/sources';
import { SHARD_KEY, startShard, type InProcessShard } from '../support/in-process-shard';

const PLAIN = { key: SHARD_KEY, grpcPortOffset: 1, reach: { allowed: [], own: [] } };
/** Longer than the time after which a shard is asked for a word again. */
const BUSY_MS = 3_500;

let shard: InProcessShard;
let clients: RemoteClients;
let skewMs: number;
beforeEach(async () => {
  skewMs = 0;
  clients = new RemoteClients(PLAIN);
  shard = await startShard();
  shard.create({ name: 'docs', dim: 2, metric: 'l2' });
  for (let n = 0; n < 50; n++) shard.put('docs', { id: `p${n}`, vector: [n, 1], payload: {} });
});
afterEach(async () => {
  clients.close();
  await shard.stop();
});

it('goes on when its reader was slowed down for longer than a shard may be silent', async () => {
  const over = new AbortController();
  const reading = { deadlineMs: Number.MAX_SAFE_INTEGER, signal: over.signal };
  const job: RemoteJob = {
    ...{ reading, signal: over.signal },
    nowMs: () => Date.now() + skewMs,
    sleep: (ms) => delay(ms),
    report: () => undefined,
    write: (send) => send(reading),
  };
  const target = { id: 0, primary_url: shard.url, replica_urls: [], identity: null, source: null };
  const primary = clients.rest(target);
  const source = await chooseSource(job, { target, clients, primary, isPlan: false });
  expect(source.kind).toBe('primary');
  let rows = 0;
  for await (const event of source.scan(over.signal)) {
    if (event.kind === 'cut-ended') break;
    if (event.kind !== 'rows') continue;
    rows += event.rows.length;
    skewMs += 120_000;
    await delay(BUSY_MS);
  }
  expect(rows).toBe(50);
  over.abort();
});
