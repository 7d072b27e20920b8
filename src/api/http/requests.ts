/** What the routes read out of a request. Everything is checked before it is used. */
import { json, type Request, type RequestHandler } from 'express';
import type { z } from 'zod';
import { DomainError } from '../../domain/errors';
import { REQUEST_BODY_BYTES_MAX } from '../../domain/limits';
import { parseOperationId } from '../../contract/ids';
import type { ScanRequest } from '../../contract/requests';
import { normalizeShardUrl, type ShardAddress } from '../../domain/shard-map';
import { idempotencyKeySchema, type AddShardBody, type ReplaceAddressBody } from '../../wire/coordinator-api';
import type { ScanBody } from '../../wire/operations/scan';
import { dryRunQuerySchema } from '../../wire/operations/plan';
import { describeIssues } from '../../wire/problem';
import { ApiError } from './problem';

/** Reads a JSON body. A request without a body passes: the schemas of the routes that need one refuse it. */
export const jsonBodyUpTo = (bytesMax: number): readonly RequestHandler[] => [
  (request, _response, next) => {
    const length = Number(request.headers['content-length'] ?? 0);
    const hasBody = request.headers['transfer-encoding'] !== undefined || length > 0;
    if (hasBody && !/^application\/(?:[\w.+-]+\+)?json *(?:;|$)/i.test(request.headers['content-type'] ?? '')) {
      throw new ApiError('UnsupportedMediaType', 'a body must be JSON: send Content-Type: application/json');
    }
    next();
  },
  json({ limit: bytesMax, inflate: false, strict: true, type: () => true }),
];
export const jsonBody = jsonBodyUpTo(REQUEST_BODY_BYTES_MAX);

/** @throws ApiError MalformedBody */
export function readBody<T>(schema: z.ZodType<T>, request: Request): T {
  const parsed = schema.safeParse(request.body ?? {});
  if (parsed.success) return parsed.data;
  throw new ApiError('MalformedBody', `the body does not have the expected shape: ${describeIssues(parsed.error)}`);
}

/** @throws DomainError InvalidShardUrl, InvalidRequest */
export function readAddress(body: AddShardBody): ShardAddress {
  const primary_url = normalizeShardUrl(body.primary_url);
  const replica_urls = body.replica_urls.map(normalizeShardUrl);
  if (new Set([primary_url, ...replica_urls]).size !== replica_urls.length + 1) {
    throw new DomainError(
      'InvalidRequest',
      'the URLs of a shard must all differ, primary_url and replica_urls name one twice',
    );
  }
  return { primary_url, replica_urls, ...readGrpcUrl(body) };
}

/** @throws DomainError InvalidShardUrl */
export function readScan({ sources, accept_stop_s }: ScanBody): ScanRequest {
  const urls = Object.entries(sources ?? {}).map(([shardId, url]) => [shardId, normalizeShardUrl(url)] as const);
  return {
    ...(urls.length === 0 ? {} : { sources: Object.fromEntries(urls) }),
    ...(accept_stop_s === undefined ? {} : { acceptStopMs: Math.round(accept_stop_s * 1000) }),
  };
}

/** What is left out stays as it is. @throws DomainError InvalidShardUrl, InvalidRequest */
export function readAddressChange(body: ReplaceAddressBody): Partial<ShardAddress> {
  const { primary_url, replica_urls, grpc_url } = body;
  if (primary_url === undefined && replica_urls === undefined && grpc_url === undefined) {
    throw new DomainError('InvalidRequest', 'expected primary_url, replica_urls, grpc_url or several, got none');
  }
  return {
    ...(primary_url === undefined ? {} : { primary_url: normalizeShardUrl(primary_url) }),
    ...(replica_urls === undefined ? {} : { replica_urls: replica_urls.map(normalizeShardUrl) }),
    ...readGrpcUrl(body),
  };
}

function readGrpcUrl({ grpc_url }: { grpc_url?: string | undefined }): { grpc_url?: string } {
  return grpc_url === undefined ? {} : { grpc_url: normalizeShardUrl(grpc_url) };
}

/** @throws ApiError InvalidRequest */
export function readShardId(request: Request): number {
  const text = String(request.params['id']);
  const id = Number(text);
  if (/^\d{1,20}$/.test(text) && Number.isSafeInteger(id)) return id;
  throw new ApiError('InvalidRequest', 'the shard id in the path must be a whole number from 0 to 2^53 - 1');
}

/** The caller's key, or null. Every POST checks it, also where it has no use. @throws ApiError InvalidIdempotencyKey */
export function readIdempotencyKey(request: Request): string | null {
  const header = request.headers['idempotency-key'];
  if (header === undefined) return null;
  const parsed = idempotencyKeySchema.safeParse(header);
  if (parsed.success) return parsed.data;
  throw new ApiError(
    'InvalidIdempotencyKey',
    'Idempotency-Key must be 1 to 128 of the characters A-Z a-z 0-9 _ . : -, sent once',
  );
}

/**
 * Whether the call only asks what it would do. Anything else in the query is refused: a typo must not start an operation.
 * @throws ApiError InvalidRequest
 */
export function readDryRun(request: Request): boolean {
  const parsed = dryRunQuerySchema.safeParse(request.query);
  if (parsed.success) return parsed.data.dry_run === 'true';
  throw new ApiError(
    'InvalidRequest',
    `expected dry_run=true, dry_run=false or no query: ${describeIssues(parsed.error)}`,
  );
}

/** @throws ApiError UnknownOperation */
export function requireOperationId(id: string | undefined): string {
  if (id !== undefined && parseOperationId(id) !== null) return id;
  throw new ApiError('UnknownOperation', 'there is no such operation: GET /cluster/operations lists them');
}
