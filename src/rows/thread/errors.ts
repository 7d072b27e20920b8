/** Errors of a job on their way out of its thread, where a class does not survive the copy. */
import { DomainError } from '../../domain/errors';
import { ShardError, type ShardFailure } from '../../shards/errors';
import { ShardLostRows } from '../jobs/compare';
import { CollectionMissing, CollectionOfOtherKind } from '../ports';
import { SpoolError } from '../spool/spool';

export type ThreadFailure =
  | { readonly kind: 'shard'; readonly facts: ShardFacts }
  | { readonly kind: 'domain'; readonly code: string; readonly message: string }
  | { readonly kind: 'missing' | 'otherKind'; readonly collection: string; readonly shardId: number | string }
  | {
      readonly kind: 'spool' | 'lost' | 'aborted' | 'other';
      readonly name: string;
      readonly message: string;
      readonly stack: string;
    };

type ShardFacts = Pick<
  ShardError,
  'code' | 'shardUrl' | 'method' | 'path' | 'status' | 'retryAfterMs' | 'outcomeUnknown' | 'message'
>;

export function toFailure(error: unknown, isAborted: boolean): ThreadFailure {
  if (isAborted) return other('aborted', error);
  if (error instanceof ShardError) {
    const { code, shardUrl, method, path, status, retryAfterMs, outcomeUnknown, message } = error;
    return { kind: 'shard', facts: { code, shardUrl, method, path, status, retryAfterMs, outcomeUnknown, message } };
  }
  if (error instanceof DomainError) return { kind: 'domain', code: error.code, message: error.message };
  if (error instanceof CollectionMissing) {
    return { kind: 'missing', collection: error.collection, shardId: error.shardId };
  }
  if (error instanceof CollectionOfOtherKind) {
    return { kind: 'otherKind', collection: error.collection, shardId: error.shardId };
  }
  if (error instanceof SpoolError) return other('spool', error);
  return other(error instanceof ShardLostRows ? 'lost' : 'other', error);
}

export function fromFailure(failure: ThreadFailure): Error {
  switch (failure.kind) {
    case 'shard':
      return withMessage(
        new ShardError({ ...failure.facts, reason: '' } satisfies ShardFailure),
        failure.facts.message,
      );
    case 'domain':
      return new DomainError(failure.code as DomainError['code'], failure.message);
    case 'missing':
      return new CollectionMissing(failure.collection, failure.shardId);
    case 'otherKind':
      return new CollectionOfOtherKind(failure.collection, failure.shardId);
    case 'spool':
      return withMessage(new SpoolError('', null), failure.message);
    case 'lost':
      return withMessage(new ShardLostRows('', 0, 0), failure.message);
    case 'aborted':
    case 'other': {
      const error = withMessage(new Error(), failure.message);
      error.name = failure.name;
      error.stack = failure.stack;
      return error;
    }
  }
}

function other(kind: 'spool' | 'lost' | 'aborted' | 'other', error: unknown): ThreadFailure {
  if (!(error instanceof Error)) return { kind, name: typeof error, message: '', stack: '' };
  return { kind, name: error.name, message: error.message, stack: error.stack ?? '' };
}

function withMessage<E extends Error>(error: E, message: string): E {
  error.message = message;
  return error;
}
