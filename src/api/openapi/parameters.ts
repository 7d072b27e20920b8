/** What routes take beside a body, and the headers of their answers. */
import { z } from 'zod';
import { givenUrlSchema, shardIdSchema } from '../../wire/cluster-map';
import { idempotencyKeySchema } from '../../wire/coordinator-api';

export interface Parameter {
  readonly in: 'path' | 'query' | 'header';
  readonly name: string;
  readonly schema: z.ZodType;
  readonly description: string;
}

/** A parameter of a path is always needed; one of a header or a query never is. */
export const PARAMETERS = {
  shardId: { in: 'path', name: 'id', schema: shardIdSchema, description: 'the id of a shard in the map' },
  operationId: {
    in: 'path',
    name: 'id',
    schema: z.string(),
    description: '`<kind>-<key>`, as `Location` and `GET /cluster/operations` tell it',
  },
  noticeKey: { in: 'path', name: 'key', schema: z.string(), description: 'the `key` of a notice' },
  idempotencyKey: {
    in: 'header',
    name: 'Idempotency-Key',
    schema: idempotencyKeySchema,
    description: 'a repeated call with the same key gets the first answer',
  },
  ifNoneMatch: {
    in: 'header',
    name: 'If-None-Match',
    schema: z.string(),
    description: 'the `ETag` of the map that the caller holds: the answer is 304 while that is the newest one',
  },
  operationETag: {
    in: 'header',
    name: 'If-None-Match',
    schema: z.string(),
    description: 'the `ETag` of the answer that the caller holds: the answer is 304 while nothing has changed',
  },
  prefer: {
    in: 'header',
    name: 'Prefer',
    schema: z.string(),
    description: '`wait=N`, 1 to 60: the answer waits so many seconds for a change',
  },
  lastEventId: {
    in: 'header',
    name: 'Last-Event-ID',
    schema: z.string(),
    description: 'the `id` of the last event that the caller has seen: the stream goes on behind it',
  },
  dryRun: {
    in: 'query',
    name: 'dry_run',
    schema: z.enum(['true', 'false']),
    description: '`true`: the answer is a plan, and nothing is changed',
  },
  standbyUrl: {
    in: 'query',
    name: 'primary_url',
    schema: givenUrlSchema,
    description: 'the standby; it may stand in the body instead',
  },
} as const satisfies Record<string, Parameter>;
export type ParameterName = keyof typeof PARAMETERS;

/** Headers of answers, by their names, with what they say. */
export const ANSWER_HEADERS = {
  ETag: 'names this version of the answer',
  Location: 'the path of the operation that was started',
  'Coordinator-Map-Stale': '`<age in s>; reason=<code>`: this is the last known map',
  'Preference-Applied': 'the wait that was heard',
  Warning: '110 on the last known map',
  'Coordinator-Notices': 'how many notices there are, as of an earlier probe',
} as const;
export type AnswerHeaderName = keyof typeof ANSWER_HEADERS;
