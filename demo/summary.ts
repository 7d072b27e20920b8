/** What a demo says about calls, points and the check, as lines. */
import { faultCount, refusedCount, type RegisterReport } from '../test/support/register-check';
import type { Answer } from './demo-api';
import type { DemoOptions } from './options';
import { count, table, type Terminal } from './terminal';

/** One look at all shards. */
export type PointsSeen = readonly {
  readonly url: string;
  /** Null for one that has never been in the map. */
  readonly id: number | null;
  readonly place: 'owner' | 'joining' | 'leaving' | 'outside';
  readonly points: number;
}[];

export function callLines(terminal: Terminal, answer: Answer<unknown>, what: string): string[] {
  const { request, status, tookMs } = answer;
  return [`  ${terminal.paint('bold', request)}`, `  ${status} in ${Math.round(tookMs)} ms: ${what}`];
}

/** Points per shard in several looks, the first one first; `change` is from the first to the last. */
export function pointsTable(terminal: Terminal, looks: Readonly<Record<string, PointsSeen>>): string[] {
  const seen = Object.values(looks);
  const first = seen[0] ?? [];
  const last = seen.at(-1) ?? [];
  const pointsAt = (look: PointsSeen, url: string): number => look.find((each) => each.url === url)?.points ?? 0;
  const sum = (look: PointsSeen): number => look.reduce((all, each) => all + each.points, 0);
  const change = (from: number, to: number): string => (to < from ? `−${count(from - to)}` : `+${count(to - from)}`);
  const rows = last.map((shard) => {
    const points = seen.map((look) => count(pointsAt(look, shard.url)));
    return [labelOf(shard), shard.url, ...points, change(pointsAt(first, shard.url), shard.points)];
  });
  const total = ['all', '', ...seen.map((look) => count(sum(look))), change(sum(first), sum(last))];
  const [head = '', rule = '', ...body] = table(
    [
      { title: 'points per shard', align: 'left' },
      { title: 'address', align: 'left' },
      ...[...Object.keys(looks), 'change'].map((title) => ({ title, align: 'right' as const })),
    ],
    [...rows, total],
  );
  const dim = (line: string): string => (line.startsWith('─') ? terminal.paint('dim', line) : line);
  return [...[terminal.paint('bold', head), rule, ...body].map((line) => `  ${dim(line)}`), ''];
}

function labelOf({ id, place }: PointsSeen[number]): string {
  if (id === null) return 'not in the map';
  if (place === 'owner') return `shard ${id}`;
  return place === 'outside' ? `shard ${id} (left)` : `shard ${id} (${place})`;
}

export function verdictLine(terminal: Terminal, is: { isRight: boolean; right: string; wrong: string }): string {
  return `  ${is.isRight ? terminal.paint('green', `✔ ${is.right}`) : terminal.paint('red', `✘ ${is.wrong}`)}`;
}

/** The check is right when nothing is wrong and no request was refused: nobody was allowed to notice what happened. */
export function reportLines(terminal: Terminal, report: RegisterReport): { isRight: boolean; lines: string[] } {
  const refused = refusedCount(report.refusedWrites) + refusedCount(report.refusedReads);
  const isRight = faultCount(report) === 0 && refused === 0;
  const { acknowledgedWrites, acknowledgedDeletes, reads } = report.checked;
  const counts = Object.entries({
    lost: report.lost,
    resurrected: report.resurrected,
    stale: report.stale,
    altered: report.altered,
    misplaced: report.misplaced,
    'never written': report.unknown,
    'wrong reads': report.wrongReads,
    refused,
  }).map(([what, number]) => terminal.paint(number === 0 ? 'green' : 'red', `${count(number)} ${what}`));
  const verdict = verdictLine(terminal, {
    isRight,
    right: 'every acknowledged write is there, and every acknowledged delete is gone',
    wrong: 'the check found something wrong',
  });
  const reasons = [...Object.entries(report.refusedWrites), ...Object.entries(report.refusedReads)];
  const details = [...report.examples, ...reasons.map(([reason, times]) => `refused ${count(times)} ×: ${reason}`)];
  const during = `${count(acknowledgedWrites)} points written, ${count(acknowledgedDeletes)} deleted and ${count(reads)} read meanwhile`;
  return {
    isRight,
    lines: [verdict, `    ${during}`, `    ${counts.join(' · ')}`, ...details.map((line) => `    ${line}`), ''],
  };
}

/** Where to look on while it runs. */
export function lookLines(terminal: Terminal, at: { api: string; webUi: string; key: string }): string[] {
  return [
    `  Status page   ${at.api}/   ${terminal.paint('dim', `(the key is ${at.key})`)}`,
    `  Web UI        ${at.webUi}`,
  ];
}

/** What a demo ends with that does not stay up. */
export function goneLines(terminal: Terminal, { scenario }: DemoOptions): string[] {
  const command = scenario === 'grow' ? 'npm run demo -- --keep' : `npm run demo -- --${scenario} --keep`;
  return [terminal.paint('dim', `  It ends now. \`${command}\` stays up, with the status page and the Web UI.`), ''];
}

/** What can be done with a demo that stays up. */
export function againLines(
  terminal: Terminal,
  at: { api: string; webUi: string; key: string; spare: string; calls: readonly { what: string; words: string }[] },
): string[] {
  const run = (what: string, words: string): string[] => [`  ${what}:`, `    node dist/main.js ${words}`];
  return [
    `  ${terminal.paint('bold', 'It stays up, and the clients go on. Ctrl-C ends it.')}`,
    '',
    ...lookLines(terminal, at),
    '',
    '  In another shell, in this folder:',
    `    export COORDINATOR_URL=${at.api} COORDINATOR_KEY=${at.key}`,
    ...run('grow by one more empty shard', `grow ${at.spare} --wait`),
    ...at.calls.flatMap(({ what, words }) => run(what, words)),
    ...run('look at it', 'status'),
    ...run('look for what is wrong', 'doctor'),
    '',
  ];
}
