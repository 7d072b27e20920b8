import { ApplicationFailure } from '@temporalio/workflow';
import { count } from '../../wording';
import type { MoveContext } from '../context';
import { idsOf, moveOf } from '../placement';

/**
 * In the slice the leaver is the truth: what another shard holds there, and the leaver lacks, is deleted as a remnant. A
 * shard that was once added without a move may hold such points, and each may be the only copy. So they must move to
 * their owner first.
 */
export async function refuseStrays({ run }: MoveContext): Promise<string> {
  const { state } = run;
  const { strays, scans } = run.waits.noted(
    await run.persist('looking for points of the leaver on other shards', () =>
      run.activities.rows('do other shards hold points of the leaver?', null).countStrays(moveOf(run)),
    ),
  );
  const rows = scans.reduce((sum, { rowsRead }) => sum + rowsRead, 0);
  if (strays === 0) return `${count(rows)} rows looked at, all where they belong`;
  throw ApplicationFailure.nonRetryable(
    `expected every point of shard ${idsOf(state.shards)} on that shard only, ${count(rows)} rows of the others show ${count(strays)} of them: run POST /cluster/repair first`,
    'MisplacedPoints',
  );
}
