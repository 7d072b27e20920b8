/** What the autoscale policy sees and decides, as it happens: the load of each shard against the mark, and a line for each evaluation. */
import { setTimeout as delay } from 'node:timers/promises';
import type { AutoscaleView } from '../src/wire/autoscale';
import { waitFor } from '../test/support/wait-for';
import type { DemoCluster } from './cluster';
import type { Stage } from './stage';
import type { PointsSeen } from './summary';
import { bar, count, STEP_COLUMNS, TIME_COLUMNS } from './terminal';

const POLL_MS = 400;
/** Evaluations come every few seconds; a machine that is busy may take its time for one. */
const DECISION_TIMEOUT_MS = 60_000;

export type EvaluationSeen = AutoscaleView['evaluations'][number];

export class PolicyWatch {
  private readonly stage: Stage;
  private readonly cluster: DemoCluster;
  private readonly mark: number;
  /** Oldest first. */
  private readonly seen: EvaluationSeen[] = [];
  private loads: PointsSeen = [];
  private running: Promise<unknown> | null = null;
  private isStopping = false;
  private problem: unknown = null;

  constructor(stage: Stage, cluster: DemoCluster, mark: number) {
    this.stage = stage;
    this.cluster = cluster;
    this.mark = mark;
  }

  start(): void {
    // Each by itself: a shard that takes its time must not hold up what was decided.
    this.running = Promise.all([this.again(() => this.readEvaluations()), this.again(() => this.readLoads())]);
    this.stage.owns(() => this.stop());
  }

  async stop(): Promise<void> {
    this.isStopping = true;
    await this.running;
  }

  /** The newest evaluation that decided so, once there is one. */
  async decision(fits: (evaluation: EvaluationSeen) => boolean): Promise<EvaluationSeen> {
    try {
      return await waitFor('the decision', () => this.seen.findLast(fits), DECISION_TIMEOUT_MS);
    } catch (error) {
      const last = this.seen.at(-1)?.message ?? 'there was no evaluation';
      throw new Error(`no evaluation decided what was expected; the last one: ${last}`, {
        cause: this.problem ?? error,
      });
    }
  }

  /** The load of each owner against the mark. */
  loadLines(): string[] {
    const { terminal } = this.stage;
    return this.loads
      .filter((shard) => shard.place === 'owner')
      .map(({ id, points }) => {
        const isAbove = points > this.mark;
        const part = terminal.paint(isAbove ? 'yellow' : 'cyan', bar(points / this.mark));
        const facts = `${count(points).padStart(6)} of ${count(this.mark)}${isAbove ? ', above the mark' : ''}`;
        return `    ${`shard ${id}`.padEnd(STEP_COLUMNS + TIME_COLUMNS)}   ${part}   ${facts}`;
      });
  }

  async readLoads(): Promise<PointsSeen> {
    this.loads = await this.cluster.pointsPerShard();
    return this.loads;
  }

  private async readEvaluations(): Promise<void> {
    const { evaluations } = (await this.cluster.api.autoscale()).body;
    const last = this.seen.at(-1);
    const fresh = evaluations.filter(({ at }) => last === undefined || at > last.at).reverse();
    for (const evaluation of fresh) this.show(evaluation);
  }

  /** A coordinator or a shard that is busy does not answer now and then: the next look will do. */
  private async again(look: () => Promise<unknown>): Promise<void> {
    while (!this.isStopping) {
      await look().catch((error: unknown) => (this.problem = error));
      await delay(POLL_MS);
    }
  }

  /** The loads change while the cluster is filled; every other reason is said once, until another one comes. */
  private show(evaluation: EvaluationSeen): void {
    const { terminal } = this.stage;
    const { reason, message } = evaluation;
    const isNews = reason === 'below_mark' || this.seen.at(-1)?.reason !== reason;
    this.seen.push(evaluation);
    if (!isNews) return;
    const time = new Date(evaluation.at).toLocaleTimeString('en-GB');
    const name = terminal.paint(reason === 'grow' ? 'yellow' : 'cyan', reason.padEnd(STEP_COLUMNS - 1));
    terminal.print(`  ${terminal.paint('cyan', '◆')} ${name}${time}   ${terminal.paint('dim', message)}`);
  }
}
