import { z } from 'zod';
import { HOOK_EVENTS, HOOK_URL_CHARS_MAX, HOOKS_MAX } from '../domain/hooks';

const events = z.array(z.enum(HOOK_EVENTS)).min(1).max(HOOK_EVENTS.length);

/** Body of `PUT /cluster/hooks`: all hooks. `secret` left out: as before; null: none. */
export const hooksBodySchema = z.strictObject({
  hooks: z
    .array(
      z.strictObject({
        url: z.string().max(HOOK_URL_CHARS_MAX),
        events,
        secret: z.string().min(16).max(256).nullable().optional(),
      }),
    )
    .max(HOOKS_MAX),
});
export type HooksBody = z.infer<typeof hooksBodySchema>;

/** `GET /cluster/hooks`. It shows no secret, only whether there is one. */
export const hookListSchema = z.object({
  hooks: z.array(
    z.object({
      url: z.string(),
      events,
      signed: z.boolean(),
      /** Why the last delivery was given up; null when it arrived. */
      problem: z.object({ reason: z.string(), since: z.iso.datetime() }).nullable(),
    }),
  ),
});
export type HookList = z.infer<typeof hookListSchema>;
