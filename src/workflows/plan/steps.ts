/** The steps of a plan: the rows of the operation's own script, and of a cancel the undos beside them. */
import type { CancelledSoFar, PlanInput } from '../../contract/messages';
import type { OperationKind } from '../../domain/cluster-state';
import type { PlannedKind, PlannedOperation, PlannedStep } from '../../domain/plan';
import type { Phase } from '../../domain/progress';
import { DRAIN } from '../drain';
import { GROW } from '../grow';
import { rowsUntilFlip } from '../operation/script';
import { CHECK, REPAIR } from '../repair';

/** The part of a row that people read. */
interface ReadRow {
  readonly phase: Phase;
  readonly does: string;
}

export function stepsOf(kind: Exclude<PlannedKind, 'cancel'>): PlannedStep[] {
  const scripts: Record<typeof kind, readonly ReadRow[]> = { grow: GROW, drain: DRAIN, check: CHECK, repair: REPAIR };
  return scripts[kind].map(({ phase, does }) => ({ phase, does }));
}

/** The undos run backwards. Those of rows that have not begun find nothing to do, so they are left out. */
export function planOfCancel(so: CancelledSoFar, { routerUrls, timings }: PlanInput): PlannedOperation {
  const undos = undosOf(so.of).filter(({ row }) => so.begun.includes(row));
  const steps = undos.map(({ does }): PlannedStep => ({ phase: 'undo', does }));
  const graceS = timings.graceMs / 1000;
  const routers =
    routerUrls.length === 0 ? `they get ${graceS} s, because none is listed` : 'they are asked until they hold it';
  return {
    steps: [...steps, { phase: 'undo', does: 'give the lock back' }],
    shards: so.shards.map(({ id: shardId }) => ({
      shardId,
      role: so.of === 'drain' ? ('donor' as const) : ('receiver' as const),
      source: null,
      rows: null,
      bytes: null,
      rowsToMove: so.rows,
      bytesToMove: so.bytes,
      scans: 0,
      stopMs: 0,
    })),
    shardsLeftOut: 0,
    rowsToMove: so.rows,
    bytesToMove: so.bytes,
    rowsRead: 0,
    refusal: null,
    noticedBy: so.wasAnnounced ? [`routers: they get a map without the change; ${routers}`] : [],
    notChecked: ['copies that the donors no longer hold: they are kept, and the outcome counts them'],
  };
}

function undosOf(kind: OperationKind): { row: Phase; does: string }[] {
  if (kind !== 'grow' && kind !== 'drain') return [];
  const rows = rowsUntilFlip(kind === 'grow' ? GROW : DRAIN).toReversed();
  return rows.flatMap(({ phase: row, undo = [] }) => undo.map(({ does }) => ({ row, does })));
}
