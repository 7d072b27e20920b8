/** What an operation carries through continue-as-new on the largest cluster. Temporal takes 2 MiB in one message. */
import { createHash } from 'node:crypto';
import { defaultPayloadConverter } from '@temporalio/common';
import { DATA_CONVERTER } from '../../src/client/calls/large-payloads';
import { newOperationState, type OperationState } from '../../src/contract/operation-state';
import {
  SHARDS_MAX,
  SOURCE_REASON_CHARS_MAX,
  SLOWED_SHOWN_MAX,
  SOURCES_SHOWN_MAX,
  TEXT_CHARS_MAX,
} from '../../src/domain/limits';
import type { Shard } from '../../src/domain/shard-map';

const KIB = 1024;
/** 40 characters each, and none like another: names of machines compress worse than numbered ones. */
const url = (name: string, n: number): string =>
  `http://${createHash('sha1').update(`${name}${n}`).digest('base64url').slice(0, 24)}.xyz:6333`;
const many = <T>(length: number, of: (n: number) => T): T[] => Array.from({ length }, (_, n) => of(n));
const shards = many(SHARDS_MAX, (n): Shard => ({
  id: n,
  primary_url: url('a', n),
  replica_urls: [url('b', n), url('c', n)],
}));
const LARGE = 1_000_000_000;
const worker = 'coordinator/production/worker-01234567-89ab-cdef-0123-456789abcdef';

/** A drain of one of 1,024 shards, or a grow by one more: each side has been a donor here. */
function fullState(): OperationState {
  const donor = {
    ...{ worker, tries: 9, isCopied: true, pointsCopied: LARGE, bytesCopied: LARGE, pointsCompared: LARGE },
    ...{ bytesCompared: LARGE, needsCut: false, mustScanReceivers: false, isTailKept: false, isFollowed: false },
    pointsKept: LARGE,
  };
  const state = newOperationState('grow', `grow-${'k'.repeat(128)}`, 1_800_000_000_000);
  const source = {
    ...({ source: 'primary', url: url('a', 1), reason: 'r'.repeat(SOURCE_REASON_CHARS_MAX), scans: 9 } as const),
    ...{ rowsRead: LARGE, rowsPerSecond: 50_000, stopsMs: many(8, () => 10_000) },
    estimate: { rows: LARGE, bytes: LARGE, scans: 2, questions: LARGE, stopMs: 30_000, memoryBytes: LARGE },
  };
  return {
    ...state,
    move: { placement: { shards: shards.map(({ id }) => id), joining: [1_023], leaving: [] }, shards },
    shards: shards.slice(-64),
    donors: Object.fromEntries(shards.map(({ id }) => [id, donor])),
    droppedByDonor: Object.fromEntries(shards.map(({ id }) => [id, LARGE])),
    copy: { collections: many(500, (n) => `collection-of-this-cluster-${n}`), rowsExpected: LARGE },
    provenCollections: many(500, (n) => `collection-of-this-cluster-${n}`),
    progress: {
      ...state.progress,
      phases: many(14, () => ({
        phase: 'copy',
        startedAtMs: LARGE,
        endedAtMs: LARGE,
        note: 'n'.repeat(TEXT_CHARS_MAX),
      })),
      sources: many(SOURCES_SHOWN_MAX, (shardId) => ({ shardId, ...source })),
      slowed: many(SLOWED_SHOWN_MAX, (shardId) => ({
        ...({ by: 'max_bytes_per_s', shardId: 1_000 + shardId } as const),
        ...{ seenMs: 86_400_000, boundMs: 200, restShare: 0.99 },
      })),
      sourcesLeftOut: SHARDS_MAX - SOURCES_SHOWN_MAX,
    },
  };
}

it('is at most 128 KiB in Temporal, however little its addresses have in common', async () => {
  const [sent] = await DATA_CONVERTER.payloadCodecs![0]!.encode([defaultPayloadConverter.toPayload(fullState())]);
  expect((sent?.data?.length ?? Infinity) / KIB).toBeLessThan(128);
});

it('the state of an operation on 1,024 shards with 3 addresses each is a third of what Temporal takes', () => {
  const state = fullState();
  const sizeOf = (value: unknown): number => Buffer.byteLength(JSON.stringify(value)) / KIB;
  const { move, donors, progress } = state;
  const sizes = { move: sizeOf(move), donors: sizeOf(donors), progress: sizeOf(progress), all: sizeOf(state) };
  const budget = { move: 180, donors: 325, progress: 55, all: 640 };
  const over = Object.entries(sizes).filter(([part, kib]) => kib > budget[part as keyof typeof budget]);
  expect(over).toEqual([]);
});
