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
  ETag: 'names this version of the map',
  Location: 'the path of the operation that was started',
  'Coordinator-Map-Stale': '`<age in s>; reason=<code>`: this is the last known map',
  Warning: '110 on the last known map',
  'Coordinator-Notices': 'how many notices there are, as of an earlier probe',
} as const;
export type AnswerHeaderName = keyof typeof ANSWER_HEADERS;
