/**
 * `npm run demo [-- --quick] [-- --keep]`: the main job in under a minute. Two shards hold 50,000 points, a third one is empty; one REST
 * call makes the cluster grow while clients go on writing; then every acknowledged write and delete is looked up.
 *
 * Exit code 0: all is as it should be. 1: it isn't, or the demo could not be run. 2: an option that it does not know. 130: Ctrl-C.
 */
import { Demo } from './demo';
import { Terminal } from './terminal';

const EXIT_FAILED = 1;
const EXIT_BAD_OPTION = 2;
const EXIT_INTERRUPTED = 130;
const USAGE = `usage: npm run demo [-- --quick] [-- --keep]
  --quick   in-process shards and router instead of Quiver processes
  --keep    stay up afterwards, to look around and to grow again`;

async function main(): Promise<number> {
  const given = process.argv.slice(2);
  const unknown = given.find((each) => each !== '--quick' && each !== '--keep');
  if (unknown !== undefined) {
    console.error(`unknown option ${unknown}\n${USAGE}`);
    return EXIT_BAD_OPTION;
  }
  const isKept = given.includes('--keep');
  const demo = new Demo(new Terminal(process.stdout), { isQuick: given.includes('--quick'), isKept });
  const interrupted = nextSignal().then(() => EXIT_INTERRUPTED);
  try {
    const exitCode = await Promise.race([demo.run().then((isRight) => (isRight ? 0 : EXIT_FAILED)), interrupted]);
    if (!isKept || exitCode === EXIT_INTERRUPTED) return exitCode;
    await interrupted;
    return exitCode;
  } finally {
    await demo.cleanUp();
  }
}

function nextSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
  });
}

main().then(
  (exitCode) => process.exit(exitCode),
  (error: unknown) => {
    console.error(`\nthe demo could not be run: ${error instanceof Error ? error.message : String(error)}`);
    process.exit(EXIT_FAILED);
  },
);
