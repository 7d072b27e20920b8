/** How an operation looks while it runs: a line that stays for every phase that is over, and a live one for the phase that runs. */
import { setTimeout as delay } from 'node:timers/promises';
import type { OperationView } from '../src/wire/coordinator-api';
import type { ClientCounts } from '../test/support/register-clients';
import { refusedCount } from '../test/support/register-check';
import { bar, count, movingBar, seconds, STEP_COLUMNS, TIME_COLUMNS, type Terminal } from './terminal';

const POLL_MS = 150;
/** Where nobody looks on live, the phase that runs says so at most this often. */
const PLAIN_LINE_EVERY_MS = 2_000;
const RECORD_TRIES_MAX = 20;

export interface WatchOptions {
  readonly terminal: Terminal;
  readonly read: () => Promise<OperationView>;
  readonly counts: ClientCounts;
}

/** Resolves with the operation when it has ended. */
export async function watchOperation({ terminal, read, counts }: WatchOptions): Promise<OperationView> {
  let view = await read();
  const printed = new Set<string>();
  let plainAtMs = Date.now();
  terminal.show(() => liveLines(terminal, view, counts));
  for (;;) {
    for (const phase of view.phases) {
      if (phase.ended_at === null || printed.has(phase.phase)) continue;
      printed.add(phase.phase);
      terminal.print(endedLine(terminal, phase));
    }
    if (view.status !== 'running') break;
    if (!terminal.isLive && Date.now() - plainAtMs > PLAIN_LINE_EVERY_MS) {
      plainAtMs = Date.now();
      terminal.print(`    ${liveFacts(view)}`);
    }
    await delay(POLL_MS);
    view = await readWhole(read);
  }
  terminal.hide();
  return view;
}

/** An API that could not ask the operation itself in time answers from its record, which has no phases: the next answer will. */
async function readWhole(read: () => Promise<OperationView>): Promise<OperationView> {
  for (let tries = 1; ; tries++) {
    const view = await read();
    if (view.phases.length > 0 || tries === RECORD_TRIES_MAX) return view;
    await delay(POLL_MS);
  }
}

type PhaseView = OperationView['phases'][number];

function endedLine(terminal: Terminal, phase: PhaseView): string {
  const tookMs = Date.parse(phase.ended_at ?? phase.started_at) - Date.parse(phase.started_at);
  const isUndo = phase.phase === 'undo';
  const mark = isUndo ? terminal.paint('red', '✘') : terminal.paint('green', '✔');
  const time = seconds(tookMs).padStart(TIME_COLUMNS);
  return `  ${mark} ${phase.phase.padEnd(STEP_COLUMNS)}${time}   ${terminal.paint('dim', phase.note)}`;
}

function liveLines(terminal: Terminal, view: OperationView, counts: ClientCounts): string[] {
  const { phase = '', started_at } = view.phases.at(-1) ?? { started_at: view.started_at };
  const time = seconds(Math.max(Date.now() - Date.parse(started_at), 0)).padStart(TIME_COLUMNS);
  const fraction = fractionOf(view, Date.now() - Date.parse(started_at));
  const progress = terminal.paint('cyan', fraction === null ? movingBar(Date.now()) : bar(fraction));
  const name = terminal.paint('bold', phase.padEnd(STEP_COLUMNS));
  const indent = ' '.repeat(4 + STEP_COLUMNS + TIME_COLUMNS + 3);
  const lines = [`  ${terminal.spinner()} ${name}${time}   ${progress}   ${facts(view)}`];
  if (view.waiting !== null) {
    lines.push(
      `${indent}${terminal.paint('yellow', `waits: ${view.waiting.reason}, until ${view.waiting.ends_when}`)}`,
    );
  }
  lines.push(`${indent}${terminal.paint('dim', `meanwhile: ${clientsLine(counts)}`)}`);
  return lines;
}

/** Of the copy by its points, of every other phase by its ETA. Null where nobody can tell. */
function fractionOf(view: OperationView, elapsedMs: number): number | null {
  if (view.phase === 'copy' && view.points_expected !== null && view.points_expected > 0) {
    return view.points_done / view.points_expected;
  }
  if (view.eta_s === null) return null;
  return elapsedMs / (elapsedMs + view.eta_s * 1000);
}

function facts(view: OperationView): string {
  const all = view.points_expected ?? 0;
  const expected = view.phase === 'copy' && all > 0 ? ` of about ${count(all)}` : '';
  const points = `${count(view.points_done)}${expected} points`;
  const rate = view.rate_points_per_s ?? 0;
  const eta = view.eta_s === null ? '' : `   ETA ${view.eta_s} s`;
  return `${points}${rate > 0 ? `   ${count(rate)}/s` : ''}${eta}`;
}

function liveFacts(view: OperationView): string {
  const waits = view.waiting === null ? '' : `   waits: ${view.waiting.reason}`;
  return `${view.phase ?? ''}   ${facts(view)}${waits}`;
}

export function clientsLine(counts: ClientCounts): string {
  const refused = refusedCount(counts.refusedWrites) + refusedCount(counts.refusedReads);
  return (
    `${count(counts.pointsWritten)} points written, ${count(counts.pointsDeleted)} deleted, ` +
    `${count(counts.reads)} read, ${count(refused)} refused`
  );
}
