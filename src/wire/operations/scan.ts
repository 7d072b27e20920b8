import { z } from 'zod';
import { givenUrlSchema } from '../cluster-map';

/** How an operation reads shards: `sources` names a follower by shard id, `accept_stop_s` a longer stop of a primary. */
export const scanFields = {
  sources: z.record(z.string().regex(/^\d{1,16}$/), givenUrlSchema).optional(),
  accept_stop_s: z.number().min(0).max(86_400).optional(),
};
export type ScanBody = { sources?: Record<string, string> | undefined; accept_stop_s?: number | undefined };
