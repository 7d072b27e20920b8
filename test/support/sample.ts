/**
 * Which rows of the campaign's tables run. Without a seed all of them do. With CAMPAIGN_SEED and CAMPAIGN_SHARE (0 to 1) a part of them
 * does, the same one for the same seed.
 */
import { createHash } from 'node:crypto';

/** At least one row of each table. `table` names it, so that two tables of equal rows are sampled each on its own. */
export function sample<Row>(table: string, rows: readonly Row[], env: NodeJS.ProcessEnv = process.env): readonly Row[] {
  const seed = env['CAMPAIGN_SEED'];
  if (seed === undefined || seed === '') return rows;
  const share = Number(env['CAMPAIGN_SHARE'] ?? '1');
  const rank = (row: Row): string =>
    createHash('sha256')
      .update(`${seed}/${table}/${JSON.stringify(row)}`)
      .digest('hex');
  const chosen = new Set(
    [...rows].sort((a, b) => (rank(a) < rank(b) ? -1 : 1)).slice(0, Math.max(1, Math.round(rows.length * share))),
  );
  return rows.filter((row) => chosen.has(row));
}
