/** What slows an operation down, gathered from its steps and from shards that asked for a pause. Changes no command. */
import type { AskedToWait } from '../../contract/move';
import type { OperationState } from '../../contract/operation-state';
import { worstOfAll, type Slowed } from '../../domain/slowed';
import type { StepProgress } from '../../domain/progress';

/** A step has told what slows it down. */
export function showSlowed(state: OperationState): void {
  const asked = (state.progress.slowed ?? []).filter(isAsked);
  show(state, [...asked, ...Object.values(state.steps).flatMap(({ slowed = [] }) => slowed)]);
}

/** A step has ended, whatever came of it: what it told last holds no more. */
export function endSlowed(state: OperationState, shardId: number | null): void {
  const step = state.steps[String(shardId)];
  if (step?.slowed === undefined) return;
  const { slowed: _slowed, ...others }: StepProgress = step;
  state.steps = { ...state.steps, [String(shardId)]: others };
  showSlowed(state);
}

/** Nothing is under way. */
export function endAllSlowed({ progress }: OperationState): void {
  delete progress.slowed;
}

/** A shard asked for a pause, and the step waits for that long. Returns what ends it. */
export function showAsked(state: OperationState, { shardUrl, forMs }: AskedToWait): () => void {
  const asked: Slowed = { by: 'asked_to_wait', shardId: shardAt(state, shardUrl), seenMs: forMs };
  show(state, [...(state.progress.slowed ?? []), asked]);
  return () =>
    show(
      state,
      (state.progress.slowed ?? []).filter((each) => each !== asked),
    );
}

/** A gRPC address that nobody gave has the host of its shard, and a port that only workers know. */
function shardAt({ move }: OperationState, url: string): number | null {
  const shards = move?.shards ?? [];
  const at = shards.find(({ primary_url, replica_urls, grpc_url }) =>
    [primary_url, grpc_url, ...replica_urls].includes(url),
  );
  if (at !== undefined) return at.id;
  const [only, ...others] = shards.filter(({ primary_url }) => hostOf(primary_url) === hostOf(url));
  return only === undefined || others.length > 0 ? null : only.id;
}

const hostOf = (url: string): string => url.replace(/^\w+:\/\//, '').replace(/:\d+$/, '');

const isAsked = ({ by }: Slowed): boolean => by === 'asked_to_wait';

function show({ progress }: OperationState, slowed: readonly Slowed[]): void {
  if (slowed.length === 0) delete progress.slowed;
  else progress.slowed = worstOfAll(slowed);
}
