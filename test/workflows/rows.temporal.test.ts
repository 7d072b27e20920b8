/** Every row of every script, with every fault that can strike it; see script-harness.ts. CI runs a part of them. */
import { DRAIN } from '../../src/workflows/drain';
import { GROW } from '../../src/workflows/grow';
import { CHECK, REPAIR } from '../../src/workflows/repair';
import { startTemporal, type TemporalForTests } from '../support/cluster-fixture';
import type { ScriptUnderTest } from '../support/scene';
import { Ahead } from '../support/ahead';
import { sample } from '../support/sample';
import { prepareDrain, prepareGrow, prepareRepair, ScriptHarness } from '../support/script-harness';

const OPERATIONS: readonly ScriptUnderTest[] = [
  { kind: 'grow', script: GROW, prepare: prepareGrow },
  { kind: 'drain', script: DRAIN, prepare: prepareDrain },
  { kind: 'repair', script: REPAIR, prepare: prepareRepair },
  { kind: 'check', script: CHECK, prepare: prepareRepair },
];
/** Each waits most of its time, for a timeout or a router's poll. */
const AT_ONCE = 3;

let temporal: TemporalForTests;

beforeAll(async () => {
  temporal = await startTemporal();
});
afterAll(async () => {
  await temporal.stop();
});

describe.each(OPERATIONS)('$kind', (operation) => {
  const cases = sample(`rows of ${operation.kind}`, ScriptHarness.cases(operation));
  const ahead = new Ahead(
    cases.map(
      ({ row, fault }) =>
        () =>
          new ScriptHarness(temporal, operation).run(row, fault),
    ),
    AT_ONCE,
  );

  afterAll(() => ahead.settled());

  it.each(cases.map((each, index) => ({ ...each, index })))(
    'ends as it has to when row $row $fault',
    ({ index }) => ahead.run(index),
    300_000,
  );
});
