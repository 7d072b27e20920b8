/**
 * A script is an operation as data: rows that run in their order, each with its undo beside it. One loop runs them all.
 *
 * - The row with `isFlip` is the point of no return. A script without one changes no map.
 * - Before the flip every failure and every cancel is undone: move/undo.ts runs the undos backwards (INV-7).
 * - After the flip there is only forward. A run that continues as new enters no row twice, because `phase` remembers them.
 */
import { ApplicationFailure, isCancellation } from '@temporalio/workflow';
import { boundedText } from '../../domain/bounded-text';
import type { Phase } from '../../domain/progress';
import { noticeClocks } from './notices';
import type { OperationRun } from './run';

/** What every step of a script works on. */
export interface StepContext {
  readonly run: OperationRun;
}

export interface Undo<Context> {
  /** For people: what could not be done, when it fails. */
  readonly does: string;
  /** Harmless where its row did nothing, or was undone before. Adds to `left` what a person has to do. */
  readonly run: (context: Context, left: string[]) => Promise<void>;
  /** When this fails no row above is undone, and the lock is kept. The text says why. */
  readonly othersNeedIt?: string;
}

export interface Row<Context> {
  readonly phase: Phase;
  /** For people: shown as what comes next while the row above runs. */
  readonly does: string;
  /** Returns one line: what was found or done. */
  readonly step: (context: Context) => Promise<string>;
  readonly undo?: readonly Undo<Context>[];
  /** The point of no return. */
  readonly isFlip?: true;
  /** The operation goes on when this row fails. The text says what becomes of its work. */
  readonly optional?: string;
  /** No pause comes before this row: it goes on with what the row above has begun. */
  readonly goesOn?: true;
  /** After the flip: a leaver that stays away for longer than the patience is abandoned, and with it every row that allows it. */
  readonly canAbandonLeaver?: true;
}

export type Script<Context> = readonly Row<Context>[];

const LAST_OF_ALL = 'give the lock back';

/** Where the rows after the flip begin. The length of the script when nothing flips. */
function endOfFlip<Context>(script: Script<Context>): number {
  const flip = script.findIndex((row) => row.isFlip);
  return flip === -1 ? script.length : flip + 1;
}

export function rowsUntilFlip<Context>(script: Script<Context>): Script<Context> {
  return script.slice(0, endOfFlip(script));
}

export function rowsAfterFlip<Context>(script: Script<Context>): Script<Context> {
  return script.slice(endOfFlip(script));
}

export async function runUntilFlip<Context extends StepContext>(
  script: Script<Context>,
  context: Context,
): Promise<void> {
  await runRows(rowsUntilFlip(script), context, rowsAfterFlip(script)[0]?.does);
}

export async function runAfterFlip<Context extends StepContext>(
  script: Script<Context>,
  context: Context,
): Promise<void> {
  await runRows(rowsAfterFlip(script), context);
}

async function runRows<Context extends StepContext>(
  rows: Script<Context>,
  context: Context,
  afterwards = LAST_OF_ALL,
): Promise<void> {
  const { run } = context;
  let isLeaverAbandoned = false;
  for (const [index, row] of rows.entries()) {
    if (row.canAbandonLeaver && isLeaverAbandoned) continue;
    const next = rows[index + 1]?.does ?? afterwards;
    if (canBeHeld(row, run)) await run.holds.hold();
    try {
      await run.phase(row.phase, next, () => stepOf(row, context), { canAbandonLeaver: row.canAbandonLeaver === true });
    } catch (error) {
      if (!row.canAbandonLeaver || !isPatienceExhausted(error)) throw error;
      isLeaverAbandoned = true;
      run.state.notEmptied = boundedText(error.message);
      run.endPhase(`given up: ${error.message}`);
    }
    await noticeClocks(run);
  }
}

/** A flip holds by itself, because what was proven before must be proven again. */
function canBeHeld<Context>({ phase, isFlip, goesOn }: Row<Context>, { state, holds }: OperationRun): boolean {
  return isFlip !== true && goesOn !== true && !state.completed.includes(phase) && holds.isDue();
}

async function stepOf<Context>(row: Row<Context>, context: Context): Promise<string> {
  if (row.optional === undefined) return row.step(context);
  try {
    return await row.step(context);
  } catch (error) {
    if (isCancellation(error) || !(error instanceof ApplicationFailure)) throw error;
    return `${row.optional}: ${error.message}`;
  }
}

function isPatienceExhausted(error: unknown): error is ApplicationFailure {
  return error instanceof ApplicationFailure && error.type === 'PatienceExhausted';
}
