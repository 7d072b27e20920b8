/** What can be asked of the demo on its command line. */

export const SCENARIOS = ['grow', 'autoscale', 'drain'] as const;
export type Scenario = (typeof SCENARIOS)[number];

export interface DemoOptions {
  readonly scenario: Scenario;
  /** In-process shards and router instead of Quiver processes. */
  readonly isQuick: boolean;
  /** Everything stays up afterwards. */
  readonly isKept: boolean;
}

export const USAGE = `usage: npm run demo [-- [--autoscale | --drain] [--quick] [--keep]]
  (neither)     one command grows the cluster by a third shard
  --autoscale   a policy grows it by a standby, once the shards are fuller than its mark
  --drain       grows by a third shard, then drains the first one until it is empty
  --quick       in-process shards and router instead of Quiver processes
  --keep        stay up afterwards, to look around and to go on`;

const FLAGS: readonly string[] = ['--autoscale', '--drain', '--quick', '--keep'];

/** @throws Error that says what is wrong */
export function parseOptions(args: readonly string[]): DemoOptions {
  const unknown = args.find((each) => !FLAGS.includes(each));
  if (unknown !== undefined) throw new Error(`unknown option ${unknown}`);
  const scenarios = SCENARIOS.filter((each) => args.includes(`--${each}`));
  const [scenario = 'grow'] = scenarios;
  if (scenarios.length > 1) throw new Error('--autoscale and --drain are two demos: give one of them');
  return { scenario, isQuick: args.includes('--quick'), isKept: args.includes('--keep') };
}
