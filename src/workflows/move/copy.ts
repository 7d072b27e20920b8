/**
 * The copy of a move: blind, page by page, donors side by side. It needs no care, because reconcile.ts has the last word.
 *
 * Crash: every page is an activity that may run again. All positions are in the operation's state, so a workflow that continues as
 * new goes on where it stood.
 */
import { CancellationScope, isCancellation } from '@temporalio/workflow';
import type { CopyState } from '../../contract/operation-state';
import { COPY_WINDOW_MAX, COPY_WINDOW_PER_DONOR, PAGE_OVERLAP_ROWS, PAGE_ROWS_MAX } from '../../domain/limits';
import type { Shard } from '../../domain/shard-map';
import type { OperationRun } from '../operation/run';
import { count } from '../wording';
import { prepareCollections } from './collections';
import { moveOf, partiesOf, type MoveParties } from './placement';
import type { MoveContext } from './context';

const PAGE_STEP_ROWS = PAGE_ROWS_MAX - PAGE_OVERLAP_ROWS;

export async function copyPoints(context: MoveContext): Promise<string> {
  const { run } = context;
  const { state } = run;
  const parties = partiesOf(context.kind, state);
  state.copy ??= await planCopy(run, parties);
  const { copy } = state;
  await run.checkpoint();
  await inLanes(parties.donors, (donor) => copyDonor(run, copy, donor));
  await run.checkpoint();
  if (parties.donors.some((donor) => nextPage(copy, donor) !== null)) return copyPoints(context);
  return `${count(state.progress.pointsDone)} points, ${count(state.progress.bytesDone)} bytes`;
}

async function planCopy(run: OperationRun, parties: MoveParties): Promise<CopyState> {
  const { collections } = await prepareCollections(run, parties);
  const rows = collections.map((each) => sumOf(Object.values(each.countByShard)));
  const shares = parties.canCreateCollections
    ? parties.receivers.length / (parties.donors.length + parties.receivers.length)
    : 1;
  run.state.progress.pointsExpected = Math.round(sumOf(rows) * shares);
  return { collections, rowsExpected: sumOf(rows), rowsRead: 0, nextPage: {} };
}

interface Page {
  readonly collection: string;
  readonly offset: number;
}

/** The next page of a donor that nobody has taken yet, or null. Collections are walked in order. */
function nextPage(copy: CopyState, donor: Shard): Page | null {
  let index = copy.nextPage[donor.id] ?? 0;
  for (const collection of copy.collections) {
    const pages = Math.ceil((collection.countByShard[donor.id] ?? 0) / PAGE_STEP_ROWS);
    if (index < pages) return { collection: collection.name, offset: index * PAGE_STEP_ROWS };
    index -= pages;
  }
  return null;
}

async function copyDonor(run: OperationRun, copy: CopyState, donor: Shard): Promise<void> {
  while (!run.historyIsLong()) {
    const page = nextPage(copy, donor);
    if (page === null) return;
    copy.nextPage[donor.id] = (copy.nextPage[donor.id] ?? 0) + 1;
    await copyPage(run, copy, donor, page);
  }
}

async function copyPage(run: OperationRun, copy: CopyState, donor: Shard, page: Page): Promise<void> {
  const { collection, offset } = page;
  const range = `${count(offset + 1)}–${count(offset + PAGE_ROWS_MAX)}`;
  const input = { ...moveOf(run), collection, donorId: donor.id, offset, limit: PAGE_ROWS_MAX };
  const result = run.waits.noted(
    await run.persist(`copying ${collection} from shard ${donor.id}`, () =>
      run.activities.points(`copy ${collection} ${range} from shard ${donor.id}`).copyPage(input),
    ),
  );
  // Pages overlap, so rows are counted by the step and can't add up to more than there are.
  copy.rowsRead += Math.min(result.rowsRead, PAGE_STEP_ROWS);
  run.countPoints(result.pointsCopied, result.bytesCopied);
  run.pace(copy.rowsRead, copy.rowsExpected, run.state.progress.pointsDone);
}

/** Runs `work` for several donors side by side, each in a few lanes. The first failure stops all lanes before it is thrown. */
async function inLanes(donors: readonly Shard[], work: (donor: Shard) => Promise<void>): Promise<void> {
  const lanes = Array.from({ length: COPY_WINDOW_PER_DONOR }, () => donors).flat();
  let next = 0;
  const failures: unknown[] = [];
  await CancellationScope.cancellable(async () => {
    const scope = CancellationScope.current();
    const worker = async (): Promise<void> => {
      for (let donor = lanes[next++]; donor !== undefined && failures.length === 0; donor = lanes[next++]) {
        try {
          await work(donor);
        } catch (error) {
          failures.push(error);
          scope.cancel();
        }
      }
    };
    await Promise.all(Array.from({ length: Math.min(COPY_WINDOW_MAX, lanes.length) }, worker));
  });
  if (failures.length > 0) throw failures.find((error) => !isCancellation(error)) ?? failures[0];
}

function sumOf(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
