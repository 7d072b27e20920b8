import { z } from 'zod';
import { shardIdSchema, shardMapSchema, stateFileSchema } from './cluster-map';

/** Every id is below the next one, so that none is given out again (INV-1). What else a state file holds is ignored. */
const givenStateSchema = stateFileSchema.superRefine(({ next_id, map }, context) => {
  const taken = map.shards.find((shard) => shard.id >= next_id);
  if (taken === undefined) return;
  const message = `must be above every shard id, and there is a shard ${taken.id}`;
  context.addIssue({ code: 'custom', path: ['next_id'], message });
});

/** Body of `POST /cluster/restore`: a state that a person gives, or the last one that anybody knows. */
export const restoreBodySchema = z
  .strictObject({ state: givenStateSchema.optional(), last_known: z.literal(true).optional() })
  .refine(({ state, last_known }) => (state === undefined) !== (last_known === undefined), {
    message: 'give either {"state": {next_id, map}} or {"last_known": true}',
  })
  // What the check above says, for the OpenAPI document.
  .meta({ oneOf: [{ required: ['state'] }, { required: ['last_known'] }] });
export type RestoreBody = z.infer<typeof restoreBodySchema>;

export const restoreAnswerSchema = z.object({
  map: shardMapSchema,
  next_id: shardIdSchema,
  /** What the map was taken from: `request`, or where the last known state was found. */
  source: z.string(),
  /** What an operator has to know of it, in sentences; empty when there is nothing. */
  note: z.string(),
});
export type RestoreAnswer = z.infer<typeof restoreAnswerSchema>;
