/**
 * The end of a move, after the flip: donors drop what their owners hold, or are known to have deleted (INV-5). The undo
 * of a move removes copies from its receivers by the same rule.
 *
 * Crash: every step is an activity that may run again: what is gone is not found again.
 */
import { patched } from '@temporalio/workflow';
import type { DropDonorInput, DropDonorResult, FollowDonorInput, WatchedStep } from '../../../contract/move';
import type { WatchReading } from '../../../contract/watch';
import type { Shard } from '../../../domain/shard-map';
import { nowMs } from '../../clock';
import { PATCHES } from '../../patches';
import { awaitRoutersForever } from '../../operation/routers';
import type { OperationRun } from '../../operation/run';
import { count, counted } from '../../wording';
import type { MoveContext } from '../context';
import { moveOf, ofShards, partiesOf, type MoveParties } from '../placement';
import { donorInput, donorState, onItsWorker, sideBySide } from './donors';
import { noteScan } from './sources';
import { isWatchUnbroken, readWatch, watchedStep } from './watch';

/**
 * After the flip. While a write by the map before may be under way, what arrives on the donors is looked at as it comes:
 * nobody could tell later whether its owner never had it, or has deleted it.
 */
export async function awaitRoutersAndFollow(context: MoveContext): Promise<string> {
  const { run, kind } = context;
  const { donors } = partiesOf(kind, run.state);
  let isAwaiting = true;
  const awaiting = awaitRoutersForever(context).finally(() => (isAwaiting = false));
  const [note, before] = await bothEnd(
    awaiting,
    followWhile(run, donors, () => isAwaiting),
  );
  const forMs = run.timings.inFlightMs;
  const { carried } = await follow(run, donors, { forMs, sinceFlipMs: null, isDropped: false });
  await run.waits.until(
    run.state.routersAdoptedAtMs + run.timings.inFlightMs,
    'a write that a router began before the flip may still be under way',
  );
  const sum = before + carried;
  return sum === 0 ? note : `${note}; ${count(sum)} points that came by an old map went on to their owners`;
}

/** A router that takes longer has mostly not hung, but is gone. Behind this, the scan of the drop decides what came. */
const FOLLOWED_MAX_MS = 60_000;
const FOLLOWED_ROUND_MIN_MS = 500;

/** Until all routers hold the flipped map, in rounds: a round that has begun ends. */
async function followWhile(run: OperationRun, donors: readonly Shard[], isAwaiting: () => boolean): Promise<number> {
  const flippedAtMs = run.state.progress.phases.findLast(({ endedAtMs }) => endedAtMs !== null)?.endedAtMs ?? nowMs();
  const forMs = Math.max(run.timings.inFlightMs, FOLLOWED_ROUND_MIN_MS);
  let carried = 0;
  while (isAwaiting() && nowMs() - flippedAtMs < FOLLOWED_MAX_MS) {
    const round = await follow(run, donors, { forMs, sinceFlipMs: nowMs() - flippedAtMs, isDropped: false });
    carried += round.carried;
    if (!round.isAnyTailKept) break;
  }
  return carried;
}

/** Both, also where one of them fails: nothing that was begun goes on behind the step. */
async function bothEnd<A, B>(first: Promise<A>, second: Promise<B>): Promise<[A, B]> {
  await Promise.allSettled([first, second]);
  return [await first, await second];
}

async function follow(
  run: OperationRun,
  donors: readonly Shard[],
  of: Pick<FollowDonorInput, 'forMs' | 'sinceFlipMs' | 'isDropped'>,
): Promise<{ carried: number; isAnyTailKept: boolean }> {
  let carried = 0;
  let isAnyTailKept = false;
  await sideBySide(donors, async (donor) => {
    const known = donorState(run, donor);
    const collections = run.state.provenCollections;
    const result = await run.persist(`watching shard ${donor.id}`, () =>
      onItsWorker(run, donor, (worker) =>
        run.activities
          .rows(`look at what still arrives on shard ${donor.id}`, worker)
          .followDonor({ ...donorInput(run, donor, 0), collections, ...of }),
      ),
    );
    known.isFollowed = result.isTailKept;
    known.isTailKept = result.isTailKept;
    carried += result.carried;
    isAnyTailKept ||= result.isTailKept;
  });
  return { carried, isAnyTailKept };
}

/** Rounds of reading and dropping. Behind them, what still arrives is reported instead of chased. */
const ROUNDS_MAX = 3;

export async function dropSlice(context: MoveContext): Promise<string> {
  const { run, kind } = context;
  const { state } = run;
  const parties = partiesOf(kind, state);
  const { carried } = await dropRound(context);
  state.pointsKept = keptBy(run, parties);
  const notes = [`${count(droppedBy(state.droppedByDonor))} points dropped, ${count(state.pointsKept)} kept`];
  if (carried > 0) notes.push(`${count(carried)} that came by an old map went on to their owners`);
  return notes.join(', ');
}

/** Until then a drop goes by what the last reading of the watch said. */
const WATCH_READ_MAX_MS = 5_000;

/** What rounds of reading and dropping came to. */
interface Dropped {
  dropped: number;
  carried: number;
  collectionsDropped: number;
}

/**
 * Reads all donors, asks whether every router was watched until then, and drops. An attempt that failed has used up what
 * was read, and so has a worker that is gone: then the donor is read again.
 */
export async function dropRound(context: MoveContext): Promise<Dropped> {
  const { run, kind } = context;
  const isLeaver = kind === 'drain';
  const sum: Dropped = { dropped: 0, carried: 0, collectionsDropped: 0 };
  const { donors } = partiesOf(kind, run.state);
  let left = donors;
  for (let round = 1; left.length > 0; round++) {
    // Each round stops the donors that it reads.
    if (round > 1)
      await run.waits.until(nowMs() + pauseMs(run, round), 'what was read for the drop is lost: it is read again');
    if (run.holds.isDue()) await run.holds.hold();
    await run.renewAddresses();
    await sideBySide(left, (donor) => readForDrop(run, donor, isLeaver));
    let isUnbroken = await isWatchUnbroken(context);
    let readAtMs = nowMs();
    const unread: Shard[] = [];
    await sideBySide(left, async (donor) => {
      if (run.holds.isPaused()) {
        // What was read grows old while it stands still: it is read again.
        unread.push(donor);
        return;
      }
      // A donor whose turn comes hours later must not be judged by what was known of the routers before.
      if (nowMs() - readAtMs > WATCH_READ_MAX_MS && patched(PATCHES.watchBeforeEachDrop)) {
        const isStill = await isWatchUnbroken(context);
        isUnbroken &&= isStill;
        readAtMs = nowMs();
      }
      // A worker that cannot see the routers itself must not cut a drop for ever: after the first round the reading holds.
      const watch = isUnbroken && round === 1 ? watchedStep(context, readAtMs) : null;
      const result = await dropFromDonor(run, { donor, isLeaver, isWatchUnbroken: isUnbroken, watch });
      if (result.needsRead) unread.push(donor);
      sum.dropped += result.dropped;
      sum.carried += result.carried;
      sum.collectionsDropped += result.collectionsDropped;
      const dropped = droppedBy(run.state.droppedByDonor);
      run.pace(dropped, run.state.progress.pointsDone, dropped);
    });
    left = unread;
  }
  return sum;
}

function pauseMs({ timings }: OperationRun, round: number): number {
  return Math.min(timings.retryFirstMs * 2 ** (round - 2), timings.retryMaxMs);
}

async function readForDrop(run: OperationRun, donor: Shard, isLeaver: boolean): Promise<void> {
  const known = donorState(run, donor);
  const result = await run.persist(`reading shard ${donor.id}`, () =>
    onItsWorker(run, donor, (worker) =>
      run.activities
        .rows(`what does shard ${donor.id} still hold?`, worker)
        .readForDrop(dropInput(run, { donor, isLeaver, isWatchUnbroken: false, watch: null })),
    ),
  );
  noteScan(run, donor, result.scan);
  known.isTailKept = result.isTailKept;
}

interface DropOf {
  readonly donor: Shard;
  readonly isLeaver: boolean;
  readonly isWatchUnbroken: boolean;
  readonly watch: WatchedStep | null;
}

function dropInput(run: OperationRun, { donor, isLeaver, isWatchUnbroken, watch }: DropOf): DropDonorInput {
  const known = donorState(run, donor);
  return {
    ...donorInput(run, donor, known.pointsCompared),
    settleMs: run.timings.settleMs,
    isWatchUnbroken,
    watch,
    provenCollections: run.state.provenCollections,
    isLeaver,
    isTailLate: known.isFollowed,
  };
}

async function dropFromDonor(run: OperationRun, of: DropOf): Promise<DropDonorResult> {
  const { donor } = of;
  const known = donorState(run, donor);
  const result = await run.persist(`dropping from shard ${donor.id}`, () =>
    onItsWorker(run, donor, (worker) =>
      run.activities.rows(`drop the moved points from shard ${donor.id}`, worker).dropFromDonor(dropInput(run, of)),
    ),
  );
  // Also of a drop that was cut, because a router was not watched to its end.
  if (!result.needsRead || result.dropped > 0)
    run.state.droppedByDonor[donor.id] = (run.state.droppedByDonor[donor.id] ?? 0) + result.dropped;
  if (result.needsRead) return result;
  known.pointsKept = result.kept;
  known.isTailKept = result.isTailKept;
  return result;
}

/**
 * Looks at what arrives on the donors since they were read for the drop. A write that is older than the in-flight time
 * gets that time once more: it costs nobody anything where the tail of the scan is kept.
 */
export async function confirmDrop(context: MoveContext): Promise<string> {
  const { run, kind } = context;
  const parties = partiesOf(kind, run.state);
  const isUnseen = (donor: Shard): boolean => !donorState(run, donor).isTailKept;
  let carried = 0;
  let reading: WatchReading | null = null;
  for (let round = 1; ; round++) {
    const of = { forMs: run.timings.inFlightMs, sinceFlipMs: null, isDropped: true };
    carried += (await follow(run, parties.donors, of)).carried;
    reading = await readWatch(context);
    if (reading?.unbroken === false) run.state.isWatchBroken = true;
    // A router may have written to a donor alone, and nobody saw it.
    const mustRead = reading?.unbroken === false && parties.donors.some(isUnseen);
    if (!mustRead || round >= ROUNDS_MAX) break;
    carried += (await dropRound(context)).carried;
    run.state.pointsKept = keptBy(run, parties);
  }
  const { pointsKept } = run.state;
  const notes = [
    pointsKept === 0 ? 'no donor holds a point of the slice' : `${count(pointsKept)} points are still on their donors`,
  ];
  if (carried > 0) notes.push(`${count(carried)} that came by an old map went on to their owners`);
  const unseen = parties.donors.filter(isUnseen).length;
  if (unseen > 0) notes.push(`what came to ${counted(unseen, 'donor')} since the drop was not seen`);
  return notes.join('; ');
}

/**
 * The undo of a drain: the leaver is the owner again, and the other shards drop the copies, by the same rule (INV-5). All of what the
 * leaver lacks was deleted by clients, as long as it has not lost its data. Also that of a grow of which nothing is known but the lock: then what
 * its donors lack may be the last of it, so nothing counts as deleted. Returns how many copies had to be kept.
 */
export async function sweepReceivers(
  run: OperationRun,
  parties: MoveParties,
  { absentIsDeleted }: { absentIsDeleted: boolean },
): Promise<number> {
  const { undoing } = run.state;
  let kept = undoing?.pointsKept ?? 0;
  for (const receiver of parties.receivers) {
    if (undoing?.cleaned.includes(receiver.id)) continue;
    const touched = new Set([receiver, ...parties.donors].map(({ id }) => id));
    const of = { receiverId: receiver.id, absentIsDeleted, settleMs: run.timings.settleMs };
    const what = `removing the copies from shard ${receiver.id}`;
    const result = run.waits.noted(
      await run.persist(what, () =>
        run.activities
          .rows(`remove the copies from shard ${receiver.id}`, null)
          .removeCopies({ ...ofShards(moveOf(run), touched), ...of }),
      ),
    );
    kept += result.kept;
    if (undoing === null) continue;
    undoing.cleaned.push(receiver.id);
    undoing.pointsKept = kept;
    await run.checkpointOnceAnnounced();
  }
  return kept;
}

export function keptBy(run: OperationRun, parties: MoveParties): number {
  return parties.donors.reduce((sum, donor) => sum + donorState(run, donor).pointsKept, 0);
}

function droppedBy(byDonor: Readonly<Record<string, number>>): number {
  return Object.values(byDonor).reduce((total, points) => total + points, 0);
}
