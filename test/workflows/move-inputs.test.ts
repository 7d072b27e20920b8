/** A history holds one input per donor and step, so an input names the shards that its step touches and no more. */
import { newOperationState } from '../../src/contract/operation-state';
import type { Move } from '../../src/contract/move';
import { donorInput } from '../../src/workflows/move/rows/donors';
import { plannedMove } from '../../src/workflows/move/placement';
import type { OperationRun } from '../../src/workflows/operation/run';

const shards = (from: number, count: number) =>
  Array.from({ length: count }, (_, n) => ({
    id: from + n,
    primary_url: `http://shard-${from + n}.example:6333`,
    replica_urls: [`http://replica-${from + n}.example:6333`, `http://other-${from + n}.example:6333`],
  }));

const run = (move: Move, sources: Record<string, string> | null): OperationRun => {
  const state = newOperationState('grow', 'grow-a', 0);
  state.move = move;
  state.sources = sources;
  return { state } as unknown as OperationRun;
};

const MEMBERS = shards(0, 1_000);
const map = { version: 1, shards: MEMBERS, joining: [], leaving: [] };

it('gives a donor of a grow its own address and those of the joiners', () => {
  const joiners = shards(1_000, 2);
  const move = plannedMove('grow', map, joiners);
  const input = donorInput(run(move, { 7: 'http://follower:6334', 8: 'http://another:6334' }), MEMBERS[7]!, 10);
  expect(input.shards).toEqual([MEMBERS[7], ...joiners]);
  expect(input.sources).toEqual({ 7: 'http://follower:6334' });
  expect(input.placement).toEqual(move.placement);
  expect(JSON.stringify(input).length).toBeLessThan(8_000);
});

it('gives the leaver of a drain the addresses of all who stay', () => {
  const move = plannedMove('drain', map, [MEMBERS[7]!]);
  const input = donorInput(run(move, null), MEMBERS[7]!, 10);
  expect(input.shards).toHaveLength(1_000);
  expect(input.sources).toBeNull();
});
