import { z } from 'zod';

/** `GET /openapi.json`, as far as one who only passes it on has to know it: OpenAPI has a schema of its own for the rest. */
export const openApiSchema = z.looseObject({
  openapi: z.string(),
  info: z.looseObject({ title: z.string(), version: z.string() }),
  paths: z.record(z.string(), z.looseObject({})),
});
