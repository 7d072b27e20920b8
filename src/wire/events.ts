import { z } from 'zod';

/** Data of the event `map`: its readers ask for the map itself. */
export const mapChangedSchema = z.object({ version: z.int() });
export type MapChanged = z.infer<typeof mapChangedSchema>;
