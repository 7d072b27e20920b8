/** What a bundle of the workflows is made of. */
import { join } from 'node:path';

/** `src`: the sources, or what they were compiled to. `extension` tells which: `.ts` or `.js`. */
export function workflowSources(src: string, extension: string) {
  const file = (name: string): string => join(src, 'workflows', `${name}${extension}`);
  // A bundle is made once, with and without tracing: what has no trace passes through unchanged.
  return { workflowsPath: file('index'), workflowInterceptorModules: [file(join('trace', 'pass-trace-on'))] };
}
