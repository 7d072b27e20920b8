/** The bare mover and a grow on the same donors, once per size and run: several parts ask for them. */
import { bareCopy } from './bare-mover';
import { NO_WAITS, type Bed } from './bed';
import { ms, rowsText } from './figures';
import { growAndCheck, type Grown } from './grow-run';

export interface SizedGrow {
  readonly rows: number;
  readonly bareMs: number;
  readonly grown: Grown;
  /** Of the `serve` process. */
  readonly peakBytes: number;
}

const done = new Map<number, SizedGrow>();

export async function growOfSize(bed: Bed, rows: number): Promise<SizedGrow> {
  const known = done.get(rows);
  if (known !== undefined) return known;
  bed.say(`${rowsText(rows)} sealed rows: the bare mover, then a grow, from the same donors`);
  const donors = await bed.startDonors(rows);
  const bareJoiner = await bed.startDonor();
  const bare = await bareCopy(donors, bareJoiner);
  await bareJoiner.kill();
  bed.say(`  bare copy ${ms(bare.tookMs)}, ${rowsText(bare.moved)} rows moved`);
  const joiner = await bed.startDonor();
  const coordinator = await bed.startCoordinator({ shardUrls: donors.map(({ url }) => url), env: NO_WAITS });
  const grown = await growAndCheck(bed, { coordinator, donors, joiner });
  if (bare.moved !== grown.moved) throw new Error(`the bare mover moved ${bare.moved}, the grow ${grown.moved}`);
  const result: SizedGrow = { rows, bareMs: bare.tookMs, grown, peakBytes: await coordinator.peakBytes() };
  await coordinator.stop();
  await Promise.all([...donors, joiner].map((shard) => shard.kill()));
  done.set(rows, result);
  return result;
}
