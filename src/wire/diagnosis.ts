import { z } from 'zod';
import { shardIdSchema } from './cluster-map';

/** Ahead above 0, behind below it. 0: as far as can be told, the clock is right. Null: nobody knows. */
const skewMs = z.int().nullable();
/** Why something beside it is null, or is not as it should be. */
const problem = z.string().nullable();

/** `GET /cluster/doctor`: what the API and a worker see. Null: it was not told. No key and no point data is in it. */
export const diagnosisSchema = z.object({
  took_ms: z.int(),
  /** How long a primary may stand still for one scan before an operation is refused. */
  scan_stop_max_ms: z.int(),
  temporal: z.object({
    namespace: z.string(),
    version: z.string().nullable(),
    retention_s: z.int().nullable(),
    /** By name: does the namespace know it? */
    search_attributes: z.record(z.string(), z.boolean().nullable()),
    /** Who takes tasks of this cluster, at most 64, the latest first. */
    pollers: z
      .array(
        z.object({
          identity: z.string(),
          takes: z.array(z.enum(['workflows', 'activities'])),
          last_seen: z.iso.datetime().nullable(),
        }),
      )
      .nullable(),
    pollers_left_out: z.int(),
    problem,
  }),
  /** Against Temporal. */
  api: z.object({ clock_skew_ms: skewMs }),
  /** The one worker that looked. Null: none did, and `worker_problem` says why. */
  worker: z
    .object({
      host: z.string(),
      node: z.string(),
      /** Against Temporal. */
      clock_skew_ms: skewMs,
      spool: z.object({ folder: z.string(), free_bytes: z.int().nullable() }),
    })
    .nullable(),
  worker_problem: problem,
  /** At most 64: those with something wrong before the others. */
  shards: z.array(
    z.object({
      id: shardIdSchema,
      /** Why the primary does not answer `/healthz`. */
      problem,
      /** Against the worker. */
      clock_skew_ms: skewMs,
      key: z.object({
        role: z.enum(['refused', 'read', 'write', 'admin']).nullable(),
        is_scoped: z.boolean().nullable(),
        problem,
      }),
      identity: z.object({ seen: z.enum(['same', 'absent', 'other']).nullable(), problem }),
      grpc: z.object({ url: z.string(), problem }),
      followers: z.array(z.object({ url: z.string(), problem })),
      rows: z.int().nullable(),
      bytes: z.int().nullable(),
      /** How an operation would read it now. */
      source: z.enum(['follower', 'primary', 'pages']).nullable(),
      /** How long its clients would stand still for one scan. */
      stop_ms: z.int().nullable(),
    }),
  ),
  shards_left_out: z.int(),
  /** For which the time was too short. */
  shards_not_asked: z.int(),
});
export type DiagnosisView = z.infer<typeof diagnosisSchema>;
