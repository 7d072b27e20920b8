/** What a check or a repair tells of itself, while it reads and at its end. */
import type { RepairState } from '../../contract/operation-state';
import { describePass, isClean } from '../../domain/findings';
import type { OperationOutcome } from '../../domain/progress';
import { outcomeOf as outcomeOfRun, release } from '../operation/ending';
import type { OperationRun } from '../operation/run';
import { applyTransition } from '../operation/transition';
import { count } from '../wording';
import type { RepairContext } from './map';

/** In `progress`, as far as it has come. */
export function showFindings(run: OperationRun): void {
  const { progress } = run.state;
  const repair = repairState(run);
  const walked = repair.rowsRead;
  const compared = repair.collections.filter((each) => each.notCompared === null);
  const expected = compared.reduce((sum, { rows }) => sum + rows, 0);
  progress.findings = { found: repair.first ?? repair.found, mended: repair.mended, left: null };
  progress.pointsDone = walked;
  progress.pointsExpected = expected;
  const inPhase = repair.rowsReadBefore + walked;
  run.pace(inPhase, repair.rowsReadBefore + expected, inPhase);
}

export function passesNote(repair: RepairState): string {
  if (repair.written === 0) return `pass ${repair.pass} had nothing to repair`;
  return `all ${repair.pass} passes found something to repair, the last one ${count(repair.written)}`;
}

/** When everything succeeded. */
export function summaryOf(context: RepairContext): string {
  const { run, isRepair } = context;
  const repair = repairState(run);
  const { found, first, left, pass } = repair;
  const read = `${count((first ?? found).totals.points)} points in ${repair.collections.length} collections`;
  if (!isRepair) return `${read}: ${describePass(found)}`;
  run.state.progress.findings = { found: first ?? found, mended: repair.mended, left };
  const rest = isClean(left) ? 'nothing is left' : `left: ${describePass(left)}`;
  const unsettled =
    repair.written === 0
      ? ''
      : `. ${passesNote(repair)}: something goes on writing to shards that do not own the points, so look for a router with another map (${pass} passes)`;
  return `${read}: ${describePass(first ?? found)}${doneSoFar(context)}; ${rest}${unsettled}`;
}

/** Of a repair that changed something; empty otherwise. */
export function doneSoFar({ run, isRepair }: RepairContext): string {
  const { repair } = run.state;
  if (repair === null || !isRepair) return '';
  const { collectionsCreated, moved, removed } = repair.mended;
  if (collectionsCreated + moved + removed === 0) return '';
  return `; ${count(collectionsCreated)} collections created, ${count(moved)} points moved to their owners, ${count(removed)} copies removed`;
}

export function outcomeOf({ run }: RepairContext, message: string): OperationOutcome {
  const { repair } = run.state;
  return outcomeOfRun(run, message, {
    pointsMoved: repair?.mended.moved ?? 0,
    droppedByDonor: repair?.removedByHolder ?? {},
    pointsKept: repair?.left.totals.conflicting ?? 0,
  });
}

/** How the end is recorded: a repair gives its lock back, a check has none. */
export function giveBack({ isRepair }: RepairContext): typeof release {
  if (isRepair) return release;
  return async (run, result) => {
    const { operationId } = run.state.progress;
    await applyTransition(run, 'end the check', { type: 'endCheck', operationId, ...result }, 'forever');
  };
}

export function repairState({ state }: OperationRun): RepairState {
  if (state.repair === null) throw new Error('a pass begins with looking at the collections');
  return state.repair;
}
