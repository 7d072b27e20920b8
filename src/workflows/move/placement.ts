/** Which points a grow or a drain moves, from which shards to which. Here, and only here, the two differ in direction. */
import type { Move } from '../../contract/move';
import type { OperationState } from '../../contract/operation-state';
import { samplesOf } from '../../domain/bounded-text';
import type { Shard, ShardMap } from '../../domain/shard-map';
import type { OperationRun } from '../operation/run';

export type MoveKind = 'grow' | 'drain';

/** Donors hold the slice now, receivers will. `before`: the collections that a receiver had on its own. */
export interface MoveParties {
  readonly donors: readonly Shard[];
  readonly receivers: readonly Shard[];
  /** Whether collections may be created on receivers and removed from them. Not where receivers are owners already: see drain.ts. */
  readonly canCreateCollections: boolean;
  readonly before: readonly (readonly string[])[];
}

/** The move of this change, while its shards are joining or leaving. `map` may be that of any moment of the operation. */
export function plannedMove(kind: MoveKind, map: ShardMap, shards: readonly Shard[]): Move {
  return kind === 'grow' ? moveToJoiners(map, shards) : moveFromLeavers(map, shards);
}

function moveToJoiners(map: ShardMap, shards: readonly Shard[]): Move {
  const joining = shards.map((shard) => shard.id);
  const others = map.shards.filter((shard) => !joining.includes(shard.id));
  const all = [...others, ...shards];
  const placement = { shards: all.map((shard) => shard.id), joining, leaving: map.leaving };
  return { placement, shards: all };
}

function moveFromLeavers(map: ShardMap, shards: readonly Shard[]): Move {
  const leaving = shards.map((shard) => shard.id);
  const isInMap = shards.every((shard) => map.shards.some(({ id }) => id === shard.id));
  const all = isInMap ? map.shards : [...map.shards, ...shards];
  return { placement: { shards: all.map((shard) => shard.id), joining: map.joining, leaving }, shards: all };
}

/** A grow: its shards are the receivers, all others are possible donors. A drain: its shard is the donor, all others are possible owners. */
export function partiesOf(kind: MoveKind, state: OperationState): MoveParties {
  const own = new Set(state.shards.map((shard) => shard.id));
  const others = (state.move?.shards ?? []).filter((shard) => !own.has(shard.id));
  return kind === 'grow'
    ? {
        donors: others,
        receivers: state.shards,
        canCreateCollections: true,
        before: state.preflight?.collectionsBefore ?? [],
      }
    : { donors: state.shards, receivers: others, canCreateCollections: false, before: [] };
}

export function moveOf({ state }: OperationRun): Move {
  if (state.move === null) throw new Error('the move is planned when the shards are announced, before any point moves');
  const { identity } = state;
  const expected = identity === null ? null : { clusterUid: identity.clusterUid, epoch: identity.epoch };
  return { ...state.move, identity: expected, sources: state.sources };
}

/** The move as a step gets it that touches these shards alone. */
export function ofShards(move: Move, ids: ReadonlySet<number>): Move {
  const sources = Object.entries(move.sources ?? {}).filter(([id]) => ids.has(Number(id)));
  return {
    ...move,
    shards: move.shards.filter(({ id }) => ids.has(id)),
    sources: sources.length === 0 ? null : Object.fromEntries(sources),
  };
}

/** What a worker keeps of a move it keeps under the name of the operation that began it. */
export function sessionOf({ state }: OperationRun): string {
  return state.recovers?.operationId ?? state.progress.operationId;
}

export function idsOf(shards: readonly Shard[]): string {
  return samplesOf(shards.map((shard) => shard.id));
}
