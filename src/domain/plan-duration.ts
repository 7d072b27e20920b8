/**
 * How long an operation may take, as a range. The rates are those of this cluster's own operations, or, without any,
 * those of docs/benchmarks.md. Both hold for the machines that they were measured on.
 */
import type { OperationRecord } from './cluster-state';
import { REPAIR_PASSES_MAX, type Timings } from './limits';
import type { PlannedKind, PlannedOperation } from './plan';

export interface DurationRange {
  readonly leastS: number;
  readonly mostS: number;
  /** Which rates were taken. */
  readonly basis: string;
}

/** Copied rows of BENCH_ROW_BYTES a second, with all donors side by side. */
const COPY_ROWS_PER_S = 30_000;
const BENCH_ROW_BYTES = 256;
/** A donor drops its rows one after the other. */
const DROP_MS_LEAST = 0.3;
const DROP_MS_MOST = 0.8;
/** Reading a sealed row of 64 dimensions. */
const SCAN_MICROS = 27;
/** After the copy come passes that compare: about as much again for each. */
const PASSES_MOST = 3;
/** A graph index finds what was copied after about this long, and takes this much more for each row. */
const INDEX_MS = 35_000;
const INDEX_MS_PER_ROW = 1;
/** The waits of a smaller operation are most of its time, so it says little about a rate. */
const MEASURED_ROWS_MIN = 10_000;
/** One operation is slower or faster than the one before it by so much. */
const SPREAD = 1.5;

export interface DurationFacts {
  readonly kind: PlannedKind;
  readonly plan: Pick<PlannedOperation, 'shards' | 'rowsToMove' | 'bytesToMove' | 'rowsRead'>;
  readonly records: readonly OperationRecord[];
  readonly timings: Timings;
  readonly routers: number;
}

interface Range {
  readonly least: number;
  readonly most: number;
}

/** In whole seconds: the least is rounded down, the most up. */
export function durationOf(facts: DurationFacts): DurationRange {
  const { work, basis } = workOf(facts);
  const waits = waitsOf(facts);
  const [leastMs, mostMs] = [work.least + waits.least, work.most + waits.most];
  return { leastS: Math.floor(leastMs / 1000), mostS: Math.max(1, Math.ceil(mostMs / 1000)), basis };
}

function workOf(facts: DurationFacts): { work: Range; basis: string } {
  const { kind, plan, records } = facts;
  if (kind === 'check' || kind === 'repair') return { work: reading(facts), basis: READING };
  if (kind === 'cancel') return { work: removing(plan), basis: REMOVING };
  const rates = measuredRates(records);
  if (rates.length === 0) return { work: moving(facts), basis: MOVING };
  const [slowest, fastest] = [Math.min(...rates), Math.max(...rates)];
  const rows = plan.rowsToMove ?? 0;
  const work = { least: (rows / (fastest * SPREAD)) * 1000, most: (rows / (slowest / SPREAD)) * 1000 };
  const range = [...new Set([slowest, fastest].map((rate) => String(Math.round(rate))))].join(' to ');
  const count = rates.length === 1 ? 'one operation' : `${rates.length} operations`;
  return { work, basis: `${count} of this cluster moved ${range} rows a second from begin to end` };
}

const BENCH = 'figures of docs/benchmarks.md, because no operation of this cluster has moved';
const MOVING = `${BENCH} ${MEASURED_ROWS_MIN} rows yet: ${COPY_ROWS_PER_S} rows of 64 dimensions copied a second, ${DROP_MS_LEAST} to ${DROP_MS_MOST} ms for a row that a donor drops`;
const READING = `figures of docs/benchmarks.md: ${SCAN_MICROS} µs for a row that is read; what is repaired comes on top`;
const REMOVING = `figures of docs/benchmarks.md: ${DROP_MS_LEAST} to ${DROP_MS_MOST} ms for a copied row that is removed`;

/** Rows a second of whole moves, of those that moved enough. */
function measuredRates(records: readonly OperationRecord[]): number[] {
  return records.flatMap(({ kind, end, pointsMoved, startedAtMs, endedAtMs }) => {
    const isMove = (kind === 'grow' || kind === 'drain') && end === 'succeeded';
    if (!isMove || pointsMoved < MEASURED_ROWS_MIN || endedAtMs === null || endedAtMs <= startedAtMs) return [];
    return [pointsMoved / ((endedAtMs - startedAtMs) / 1000)];
  });
}

function moving({ plan }: DurationFacts): Range {
  const rows = plan.rowsToMove ?? 0;
  const rowBytes = rows === 0 ? BENCH_ROW_BYTES : (plan.bytesToMove ?? 0) / rows;
  const copyMs = (rows / COPY_ROWS_PER_S) * 1000 * Math.max(1, rowBytes / BENCH_ROW_BYTES);
  const dropped = mostOf(plan, 'donor');
  return {
    least: copyMs + dropped * DROP_MS_LEAST,
    most: PASSES_MOST * copyMs + dropped * DROP_MS_MOST + scanMs(plan.rowsRead),
  };
}

/** Shards are read side by side at best, and one after the other at worst. */
function reading({ kind, plan }: DurationFacts): Range {
  const longest = Math.max(0, ...plan.shards.map(({ rows, scans }) => (rows ?? 0) * scans));
  const passes = kind === 'repair' ? REPAIR_PASSES_MAX : 1;
  return { least: scanMs(longest), most: passes * PASSES_MOST * scanMs(plan.rowsRead) };
}

function removing(plan: DurationFacts['plan']): Range {
  const rows = plan.rowsToMove ?? 0;
  return { least: 0, most: rows * DROP_MS_MOST };
}

const scanMs = (rows: number): number => (rows * SCAN_MICROS) / 1000;

function mostOf({ shards }: DurationFacts['plan'], role: 'donor' | 'receiver'): number {
  return Math.max(0, ...shards.filter((each) => each.role === role).map(({ rowsToMove }) => rowsToMove ?? 0));
}

/** What does not depend on rows: routers, writes that are under way, differences that settle by themselves. */
function waitsOf({ kind, plan, timings, routers }: DurationFacts): Range {
  const { graceMs, routerPatienceMs, inFlightMs, settleMs, warmUpMs } = timings;
  if (kind === 'check') return { least: 0, most: settleMs };
  const adoption: Range = routers === 0 ? { least: graceMs, most: graceMs } : { least: 0, most: routerPatienceMs };
  const least = adoption.least + inFlightMs;
  const most = adoption.most + 2 * inFlightMs + settleMs;
  if (kind !== 'grow' && kind !== 'drain') return { least: kind === 'cancel' ? 0 : least, most };
  // After the flip routers are waited for once more. A collection may have no graph index, and then nobody waits for it.
  const received = mostOf(plan, 'receiver');
  const index = received === 0 ? 0 : Math.min(warmUpMs, INDEX_MS + received * INDEX_MS_PER_ROW);
  return { least: adoption.least + least, most: adoption.most + most + index };
}
