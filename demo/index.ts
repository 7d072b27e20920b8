/**
 * `npm run demo`: what the coordinator does, on real parts, in a few minutes. Clients write, delete and read through a router all the
 * while, and at the end every acknowledged write and delete is looked up.
 *
 *   npm run demo                  one command grows a cluster of two shards by a third one
 *   npm run demo -- --autoscale   a policy grows it by a standby
 *   npm run demo -- --drain       a third shard joins, and the first one is drained
 *
 * Exit code 0: all is as it should be. 1: it isn't, or the demo could not be run. 2: options that it does not know. 130: Ctrl-C.
 */
import { parseOptions, USAGE, type DemoOptions, type Scenario } from './options';
import { autoscaleScenario } from './scenarios/autoscale';
import { drainScenario } from './scenarios/drain';
import { growScenario } from './scenarios/grow';
import { Stage } from './stage';
import { Terminal } from './terminal';

const EXIT_FAILED = 1;
const EXIT_BAD_OPTION = 2;
const EXIT_INTERRUPTED = 130;

/** True when everything went right. */
const RUN: Readonly<Record<Scenario, (stage: Stage) => Promise<boolean>>> = {
  grow: growScenario,
  autoscale: autoscaleScenario,
  drain: drainScenario,
};

async function main(): Promise<number> {
  const options = readOptions();
  if (options === null) return EXIT_BAD_OPTION;
  const stage = new Stage(new Terminal(process.stdout), options);
  const interrupted = nextSignal().then(() => EXIT_INTERRUPTED);
  const run = RUN[options.scenario];
  try {
    const exitCode = await Promise.race([run(stage).then((isRight) => (isRight ? 0 : EXIT_FAILED)), interrupted]);
    if (!options.isKept || exitCode === EXIT_INTERRUPTED) return exitCode;
    await interrupted;
    return exitCode;
  } finally {
    await stage.cleanUp();
  }
}

function readOptions(): DemoOptions | null {
  try {
    return parseOptions(process.argv.slice(2));
  } catch (error) {
    console.error(`${messageOf(error)}\n${USAGE}`);
    return null;
  }
}

function nextSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
  });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

main().then(
  (exitCode) => process.exit(exitCode),
  (error: unknown) => {
    console.error(`\nthe demo could not be run: ${messageOf(error)}`);
    process.exit(EXIT_FAILED);
  },
);
