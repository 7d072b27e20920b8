import type { FindMisplacedInput, FindMisplacedResult } from '../../contract/repair';
import type { Engine } from '../../rows/thread/engine';
import type { ActivityScope } from '../frame/run-activity';
import { runRowJob } from '../rows/row-scope';

/** One pass of a check or a repair. A pass that dies begins anew: what is repaired is not found again. */
export function findMisplaced(engine: Engine) {
  return async (scope: ActivityScope, input: FindMisplacedInput): Promise<FindMisplacedResult> => {
    const { attempt } = scope;
    const mayHaveWritten = attempt.hasUncountedWrites;
    const { placement, leftovers, collections, mend } = input;
    const job = { placement, leftovers: leftovers.map(({ primary_url }) => primary_url), collections, mend };
    const done = await runRowJob(scope, engine, { name: 'findMisplaced', input: job, move: input, leftovers });
    return { ...done, mayHaveWritten, lateWritesUntilMs: attempt.lateWritesUntilMs };
  };
}
