/** What the demo says at its end, as lines. */
import type { GrowAnswer } from './demo-api';
import { faultCount, refusedCount, type RegisterReport } from '../test/support/register-check';
import { count, table, type Terminal } from './terminal';

export interface ShardPoints {
  /** Null while it is not in the map. */
  readonly id: number | null;
  readonly url: string;
  readonly points: number;
}

export function growLine(terminal: Terminal, joinerUrl: string, answer: GrowAnswer): string[] {
  const joining = answer.map.joining.join(', ');
  return [
    '',
    `  ${terminal.paint('bold', `POST /cluster/shards/grow {"primary_url":"${joinerUrl}"}`)}`,
    `  ${answer.status} in ${Math.round(answer.tookMs)} ms: shard ${joining} is joining, map version ${answer.map.version}`,
  ];
}

export function pointsTable(
  terminal: Terminal,
  before: readonly ShardPoints[],
  after: readonly ShardPoints[],
): string[] {
  const change = (from: number, to: number): string => (to < from ? `−${count(from - to)}` : `+${count(to - from)}`);
  const sum = (shards: readonly ShardPoints[]): number => shards.reduce((all, shard) => all + shard.points, 0);
  const rows = after.map(({ id, url, points }, at) => {
    const was = before[at]?.points ?? 0;
    return [id === null ? 'not in the map' : `shard ${id}`, url, count(was), count(points), change(was, points)];
  });
  const total = ['all', '', count(sum(before)), count(sum(after)), change(sum(before), sum(after))];
  const [head = '', rule = '', ...body] = table(
    [
      { title: 'points per shard', align: 'left' },
      { title: 'address', align: 'left' },
      { title: 'before', align: 'right' },
      { title: 'after', align: 'right' },
      { title: 'change', align: 'right' },
    ],
    [...rows, total],
  );
  const dim = (line: string): string => (line.startsWith('─') ? terminal.paint('dim', line) : line);
  return ['', terminal.paint('bold', head), rule, ...body]
    .map((line) => (line === '' ? '' : `  ${dim(line)}`))
    .concat('');
}

/** The check is right when nothing is wrong and no request was refused: nobody was allowed to notice the grow. */
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
  const verdict = isRight
    ? terminal.paint('green', '✔ every acknowledged write is there, and every acknowledged delete is gone')
    : terminal.paint('red', '✘ the check found something wrong');
  const reasons = [...Object.entries(report.refusedWrites), ...Object.entries(report.refusedReads)];
  const details = [...report.examples, ...reasons.map(([reason, times]) => `refused ${count(times)} ×: ${reason}`)];
  const during = `${count(acknowledgedWrites)} points written, ${count(acknowledgedDeletes)} deleted and ${count(reads)} read meanwhile`;
  return {
    isRight,
    lines: [`  ${verdict}`, `    ${during}`, `    ${counts.join(' · ')}`, ...details.map((line) => `    ${line}`), ''],
  };
}

export function addressLines(terminal: Terminal, at: { api: string; webUi: string; isKept: boolean }): string[] {
  const gone = at.isKept ? '' : terminal.paint('dim', '   (ends now; `npm run demo -- --keep` stays up)');
  return [`  API      ${at.api}${gone}`, `  Web UI   ${at.webUi}`, ''];
}

export function againLines(terminal: Terminal, at: { api: string; key: string; spare: string }): string[] {
  const curl = `curl -H 'Authorization: Bearer ${at.key}'`;
  return [
    `  ${terminal.paint('bold', 'It stays up, and the clients go on. Ctrl-C ends it.')}`,
    '',
    '  grow again, onto one more empty shard:',
    `    ${curl} -H 'Content-Type: application/json' \\`,
    `      -d '{"primary_url":"${at.spare}"}' ${at.api}/cluster/shards/grow`,
    '  look at it:',
    `    ${curl} ${at.api}/cluster/operations`,
    `    ${curl} ${at.api}/cluster/map`,
    '',
  ];
}
