/** What is measured, at which sizes, and where the results go. */
import { parseArgs } from 'node:util';

export const PARTS = ['copy', 'own', 'clients', 'map', 'reads', 'latency', 'memory', 'size'] as const;
export type PartName = (typeof PARTS)[number];

export interface BenchOptions {
  readonly parts: readonly PartName[];
  /** Ascending. */
  readonly sizes: readonly number[];
  /** Of the comparison with Quiver's own coordinator. */
  readonly ownRows: number;
  /** Of the measurements with clients, and of the map reads. */
  readonly clientRows: number;
  /** Of the measurement of memory with rows from a generator; 0 leaves it out. */
  readonly generatedRows: number;
  /** Of the measurement of Temporal's part; 0 leaves it out. */
  readonly sizeShards: number;
  readonly sizeCollections: number;
  readonly quietMs: number;
  readonly out: string | null;
  readonly json: string | null;
}

const FULL = {
  sizes: [100_000, 250_000, 1_000_000],
  ownRows: 100_000,
  clientRows: 250_000,
  generatedRows: 4_000_000,
  sizeShards: 1_000,
  sizeCollections: 200,
  quietMs: 30_000,
};
const QUICK: typeof FULL = {
  sizes: [20_000, 50_000],
  ownRows: 20_000,
  clientRows: 50_000,
  generatedRows: 200_000,
  sizeShards: 50,
  sizeCollections: 20,
  quietMs: 10_000,
};

export const USAGE = `npm run bench -- [${PARTS.join('] [')}] [options]
  --quick                 20,000 and 50,000 rows instead of the sizes of the goals
  --sizes N,N,…           rows of copy and memory; 0 leaves them out
  --own-rows N            rows of own
  --client-rows N         rows of clients and map
  --generated-rows N      rows of memory from a generator; 0 leaves it out
  --size-shards N         shards of size; 0 leaves it out
  --size-collections N    collections of size
  --out FILE.md           puts the table between the marks of that document
  --json FILE.json        all values`;

/** Null when they cannot be understood. */
export function readOptions(args: readonly string[]): BenchOptions | null {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      sizes: { type: 'string' },
      'own-rows': { type: 'string' },
      'client-rows': { type: 'string' },
      'generated-rows': { type: 'string' },
      'size-shards': { type: 'string' },
      'size-collections': { type: 'string' },
      out: { type: 'string' },
      json: { type: 'string' },
    },
  });
  const parts = PARTS.filter((part) => positionals.length === 0 || positionals.includes(part));
  const isKnown = (name: string): boolean => PARTS.some((part) => part === name);
  const base = values.quick ? QUICK : FULL;
  const rows = (text: string | undefined, otherwise: number): number => (text === undefined ? otherwise : Number(text));
  const options: BenchOptions = {
    parts,
    sizes: (values.sizes?.split(',').map(Number) ?? base.sizes).filter((each) => each !== 0).sort((a, b) => a - b),
    ownRows: rows(values['own-rows'], base.ownRows),
    clientRows: rows(values['client-rows'], base.clientRows),
    generatedRows: rows(values['generated-rows'], base.generatedRows),
    sizeShards: rows(values['size-shards'], base.sizeShards),
    sizeCollections: rows(values['size-collections'], base.sizeCollections),
    quietMs: base.quietMs,
    out: values.out ?? null,
    json: values.json ?? null,
  };
  const { sizes, ownRows, clientRows, generatedRows, sizeShards, sizeCollections } = options;
  const areRows = [...sizes, ownRows, clientRows, generatedRows, sizeShards, sizeCollections].every(
    (each) => Number.isSafeInteger(each) && each >= 0,
  );
  return positionals.every(isKnown) && areRows ? options : null;
}
