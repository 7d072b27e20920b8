/** What an answer other than 2xx means, and how much of it a message may show. */
import { STATUS_CODES } from 'node:http';
import { boundedText } from '../../domain/bounded-text';
import type { ShardErrorCode } from '../errors';

const REASON_CHARS_MAX = 300;
/** A shard that asks for a longer pause is asked again after this one. */
const RETRY_AFTER_MAX_MS = 3_600_000;

/**
 * Details that hold only numbers, settings and collection names. Every other detail of a call that carries points is
 * left out, because it may quote a point.
 */
const SAFE_DETAILS: readonly RegExp[] = [
  /^(?:limit \(\d+\)|k \(\d+\)|(?:bulk )?batch of \d+|payload of \d+ bytes) exceeds the maximum of \d+(?: \(raise [A-Z_]+\))?$/,
  /^(?:invalid argument: )?vector has \d+ dims, (?:collection|index) expects \d+$/,
  /^collection not found: [\w.-]+$/,
  /^already exists: collection [\w.-]+$/,
  /^missing or invalid API key$/,
  /^unsupported configuration: collection is multi-vector$/,
  /^Failed to buffer the request body: length limit exceeded$/,
];
const OTHER_DIMENSION = /(?:^|: )vector has \d+ dims, (?:collection|index) expects \d+/;
const COUNT_LIMIT = /(?:^|: )(?:bulk )?batch of \d+ exceeds the maximum of \d+/;

/** An answer's status, type and the first bytes of its body. */
export interface Refusal {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

export function codeOfStatus({ status, contentType }: Refusal): ShardErrorCode {
  switch (status) {
    case 401:
      return 'Unauthorized';
    case 403:
      return 'Forbidden';
    case 404:
      // INV-8: only the shard itself can say that it lacks something. A proxy's 404 says nothing about the shard.
      return isProblem(contentType) ? 'NotFound' : 'MalformedReply';
    case 408:
      return 'TimedOut';
    case 409:
      return 'Conflict';
    case 413:
      return 'TooLarge';
    case 421:
      return 'NotLeader';
    case 422:
      return 'Unprocessable';
    case 429:
    case 503:
      return 'Overloaded';
    default:
      if (status >= 500) return 'ServerError';
      return status >= 400 ? 'BadRequest' : 'MalformedReply';
  }
}

/** The status in words, with the shard's own detail where that cannot hold point data. */
export function reasonOf(refusal: Refusal, carriesPoints: boolean): string {
  const words = STATUS_CODES[refusal.status] ?? 'unknown status';
  const detail = detailOf(refusal);
  if (detail === '' || (carriesPoints && !isSafeDetail(detail))) return words;
  return boundedText(`${words}: ${detail}`, REASON_CHARS_MAX);
}

/** Whether a detail may be shown although the call carries points. */
export function isSafeDetail(detail: string): boolean {
  return SAFE_DETAILS.some((safe) => safe.test(detail));
}

/** Whether the shard refused a batch for the number of its points alone, so that smaller batches help. */
export function namesCountLimit(message: string): boolean {
  return COUNT_LIMIT.test(message);
}

/** Whether the shard refused points because its collection has vectors of another length. */
export function namesOtherDimension(message: string): boolean {
  return OTHER_DIMENSION.test(message);
}

/** Retry-After in seconds or as a date. Null when absent or unreadable. */
export function retryAfterMs(header: string | undefined, nowMs: number): number | null {
  if (header === undefined) return null;
  const text = header.trim();
  const ms = /^\d+$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - nowMs;
  return Number.isNaN(ms) ? null : Math.min(Math.max(ms, 0), RETRY_AFTER_MAX_MS);
}

function detailOf({ contentType, body }: Refusal): string {
  if (contentType.startsWith('text/plain')) return printable(body);
  if (!isProblem(contentType) && !contentType.startsWith('application/json')) return '';
  try {
    const problem: unknown = JSON.parse(body);
    if (typeof problem !== 'object' || problem === null || !('detail' in problem)) return '';
    return typeof problem.detail === 'string' ? printable(problem.detail) : '';
  } catch {
    return '';
  }
}

function isProblem(contentType: string): boolean {
  return contentType.startsWith('application/problem+json');
}

export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Surrogate}\s]+/gu, ' ').trim();
}
