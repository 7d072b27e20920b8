import fc from 'fast-check';
import { HolderMerge, type HolderStream } from '../../../src/activities/rows/holder-merge';
import type { HolderCursor } from '../../../src/contract/repair';
import type { ActivityScope } from '../../../src/activities/frame/run-activity';
import type { ShardAddress } from '../../../src/domain/shard-map';
import type { PointElement } from '../../../src/shards/rows/point-stream';
import type { PageSource } from '../../../src/shards/rows/point-walk';
import type { Page } from '../../../src/shards/http/shard-client';

/** Rows of shards by URL, in byte order, which come in batches of `batchRows`. */
class FakeShards {
  readonly rows: Buffer[][];
  readonly addresses: ShardAddress[];
  readonly #batchRows: number;

  constructor(rows: Buffer[][], batchRows: number) {
    this.rows = rows.map((each) => [...each].sort(Buffer.compare));
    this.addresses = rows.map((_, index) => ({ primary_url: `http://s${index}`, replica_urls: [] }));
    this.#batchRows = batchRows;
  }

  get scope(): ActivityScope {
    const client = (address: ShardAddress): PageSource => this.#sourceOf(this.addresses.indexOf(address));
    return { attempt: { reading: { deadlineMs: Infinity } }, shards: { client } } as unknown as ActivityScope;
  }

  remove(holder: number, id: Buffer): void {
    this.rows[holder] = this.rows[holder]!.filter((each) => !each.equals(id));
  }

  #sourceOf(holder: number): PageSource {
    const rows = (): Buffer[] => this.rows[holder]!;
    const batchRows = this.#batchRows;
    return {
      async *fetchPage(_collection: string, { offset, limit }: Page): AsyncGenerator<PointElement[]> {
        const page = rows().slice(offset, offset + limit);
        for (let start = 0; start < page.length; start += batchRows) {
          await Promise.resolve();
          yield page.slice(start, start + batchRows).map((id) => ({ id, raw: id }));
        }
      },
    };
  }
}

const id = fc.string({ unit: 'binary', minLength: 1, maxLength: 3 }).map((text) => Buffer.from(text));
const ids = fc.uniqueArray(id, { maxLength: 60, selector: (each) => each.toString('hex') });

async function open(shards: FakeShards, cursor: HolderCursor | null) {
  const { addresses: leftovers } = shards;
  const placement = { shards: [], joining: [], leaving: [] };
  const options = { placement, shards: [], leftovers, collection: 'docs', cursor, withPoints: false };
  return HolderMerge.open(shards.scope, options);
}

describe('a merge over all holders', () => {
  it('brings every id once, in byte order, with all its holders, also when it is resumed after rows were removed', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(ids, { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 1, max: 7 }),
        fc.infiniteStream(fc.record({ goesOn: fc.boolean(), removes: fc.boolean(), resumes: fc.boolean() })),
        async (rows, batchRows, choices) => {
          const shards = new FakeShards(rows, batchRows);
          const expected = new Map<string, string>();
          shards.rows.forEach((held, index) => {
            for (const each of held) {
              const key = each.toString('hex');
              expected.set(key, `${expected.get(key) ?? ''}${index}`);
            }
          });
          const seen: [string, string][] = [];
          let { merge } = await open(shards, null);
          for (let hasEnded = false; !hasEnded;) {
            const { resumes } = choices.next().value!;
            const passed: { id: Buffer; holders: HolderStream[]; removes: boolean }[] = [];
            hasEnded = await merge.walk(
              (each, holders) => {
                const { goesOn, removes } = choices.next().value!;
                const indexes = holders.map((holder) => merge.streams.indexOf(holder)).join('');
                seen.push([each.toString('hex'), indexes]);
                passed.push({ id: each, holders: [...holders], removes });
                return { owner: null, othersMayGo: true, goesOn };
              },
              () => false,
            );
            for (const { id: each, holders, removes } of passed) {
              for (const stream of holders) {
                if (!removes) stream.stays(each);
                else {
                  shards.remove(merge.streams.indexOf(stream), each);
                  stream.rowsRemoved(1);
                }
              }
            }
            if (hasEnded || !resumes) continue;
            await merge.suspend();
            const resumed = await open(shards, JSON.parse(JSON.stringify(merge.cursor())) as HolderCursor);
            expect(resumed.restarted).toBe(false);
            merge = resumed.merge;
          }
          expect(seen).toEqual([...expected].sort(([a], [b]) => (a < b ? -1 : 1)));
        },
      ),
      { numRuns: 150 },
    );
  });
});
