/**
 * Two donors and a joiner in a process of their own, whose rows come from a generator over real gRPC and REST. Everything but the rows is the
 * in-process shard of the tests. Takes the number of rows, and writes one line of JSON when they listen.
 */
import { startShard, type InProcessShard } from '../test/support/in-process-shard';
import type { ShardCalls } from '../test/support/shard-calls';
import { GeneratedCollection } from './generated-collection';
import { KEY } from './http';
import { COLLECTION, createCollection, DONOR_IDS, idOf, placementBefore } from './rows';

export interface GeneratedShards {
  readonly donorUrls: readonly string[];
  readonly joinerUrl: string;
}

async function main(): Promise<void> {
  const rows = Number(process.argv[2]);
  const collections: GeneratedCollection[] = [];
  const start = async (): Promise<InProcessShard> => {
    const shard = await startShard({ keys: [KEY] });
    generateRows(shard['calls'], { rowsMax: rows, onCreated: (collection) => collections.push(collection) });
    return shard;
  };
  const donors = [await start(), await start()];
  for (const donor of donors) await createCollection(donor.url);
  const plan = placementBefore();
  for (let index = 0; index < rows; index++) collections[plan.ownerOf(Buffer.from(idOf(index)))]?.hold(index);
  const joiner = await start();
  const shards: GeneratedShards = { donorUrls: DONOR_IDS.map((id) => donors[id]?.url ?? ''), joinerUrl: joiner.url };
  process.stdout.write(`${JSON.stringify(shards)}\n`);
}

/** Every collection of that name that is created from now on holds no row, only what makes it. */
function generateRows(
  calls: ShardCalls,
  { rowsMax, onCreated }: { rowsMax: number; onCreated: (collection: GeneratedCollection) => void },
): void {
  const add = calls.add.bind(calls);
  calls.add = (schema) => {
    const plain = add(schema);
    if (schema.name !== COLLECTION) return plain;
    const generated = new GeneratedCollection({ schema, collectionId: plain.collectionId, rowsMax });
    calls.collections.set(schema.name, generated);
    onCreated(generated);
    return generated;
  };
}

// It ends with the benchmark, however that ends.
process.stdin.resume().on('end', () => process.exit(0));

void main();
