import { z } from 'zod';
import { ROUTER_ENTRIES_MAX } from '../domain/limits';

const entriesSchema = z.array(z.string().min(1)).max(ROUTER_ENTRIES_MAX);

/** Body of `PUT /cluster/routers`: the whole list. */
export const putRoutersBodySchema = z.strictObject({ entries: entriesSchema });

/** Body of `PATCH /cluster/routers`. */
export const patchRoutersBodySchema = z.strictObject({
  add: entriesSchema.default([]),
  remove: entriesSchema.default([]),
});

/** `GET /cluster/routers`, and the answer of `PUT` and `PATCH`. */
export const routersViewSchema = z.object({
  entries: z.array(z.string()),
  routers: z.array(
    z.object({
      /** The entry itself where its routers are not known. */
      url: z.string(),
      entry: z.string(),
      /** Of the map that it holds now. Null: it did not tell, `error` says why. */
      version: z.int().nullable(),
      /** How many versions it is behind the cluster. Below 0: it follows another coordinator. */
      lag: z.int().nullable(),
      error: z.string().nullable(),
    }),
  ),
  /** Who asked the API that answers for the map in the last hour, the latest first. At most 1,000. */
  pollers: z.array(
    z.object({
      address: z.string(),
      key_id: z.string(),
      last_poll: z.iso.datetime(),
      /** The map that it said to have (If-None-Match); null where it said none. */
      version: z.int().nullable(),
      /** An entry with a router at that address. Null: an operation does not know this router. */
      explained_by: z.string().nullable(),
    }),
  ),
  /** Of an answer to a change that takes an entry out: what that risks. Else null. */
  risk: z.string().nullable(),
});
export type RoutersView = z.infer<typeof routersViewSchema>;
