/** One operation as elements: how far it is, why it waits, and its phases on a time line. */
import { progressBar, phaseTrack } from './charts.js';
import {
  age,
  ago,
  button,
  bytes,
  chip,
  count,
  duration,
  h,
  heading,
  nowMs,
  percent,
  problemLine,
  short,
  sinceMs,
} from './dom.js';

const STATUS_KIND = { running: 'info', succeeded: 'good', failed: 'bad', cancelled: 'warn' };

/** The phases that change the owners. After them an operation only goes forward. */
const FLIPS = new Set(['promote', 'remove']);

export const statusChip = ({ status }) => chip(status, STATUS_KIND[status] ?? '');

export function operationCard({ operation, last, problem, mayChange, can }) {
  if (operation === null) {
    return [
      heading(
        'operation-title',
        'Operation',
        mayChange && button('check', 'Check…', { label: 'Check that every point lies where the map has it' }),
      ),
      problemLine(problem),
      h(
        'p.calm',
        {},
        'Nothing runs. ',
        last === null
          ? ''
          : ['The last one was ', h('strong', {}, last.kind), ', ', statusChip(last), ' ', ago(last.started_at), '.'],
      ),
    ];
  }
  const { kind, shard_ids, paused, cancel_requested, point_of_no_return_passed } = operation;
  const shards = shard_ids.length === 0 ? '' : ` · shard ${shard_ids.join(', ')}`;
  return [
    heading('operation-title', `Running: ${kind}${shards}`, mayChange && operationButtons(operation, can)),
    problemLine(problem),
    h(
      'div.chips',
      {},
      paused && chip(paused.holds ? 'paused' : 'pausing', 'warn'),
      cancel_requested === true && chip('cancel requested', 'warn'),
      point_of_no_return_passed === true && chip('past the point of no return', 'info'),
      limitsInWords(operation.limits).map((words) => chip(words)),
      h('span.when', {}, `runs for ${age(sinceMs(operation.started_at))}`),
    ),
    progressOf(operation),
    paused &&
      h(
        'div.wait',
        {},
        h('strong', {}, `Paused by ${paused.by}: ${paused.reason}`),
        h(
          'p',
          {},
          paused.until === null
            ? 'It goes on when somebody resumes it.'
            : `It goes on by itself at ${new Date(paused.until).toLocaleString()}.`,
        ),
      ),
    waitOf(operation),
    slowedOf(operation),
    timeLine(operation),
    operation.next !== null && h('p.facts', {}, h('span.when', {}, 'Next: '), operation.next),
    h('p.when.id', {}, operation.id, webUi(operation)),
  ];
}

function limitsInWords(limits) {
  const { max_bytes_per_s = null, max_rows_per_s = null, delete_share = null } = limits ?? {};
  return [
    max_bytes_per_s === null ? null : `at most ${bytes(max_bytes_per_s)}/s`,
    max_rows_per_s === null ? null : `at most ${short(max_rows_per_s)} points/s`,
    delete_share === null ? null : `delete share ${percent(delete_share)}`,
  ].filter((each) => each !== null);
}

function operationButtons({ id, kind, paused, cancel_requested, point_of_no_return_passed }, can) {
  const data = { id, kind };
  const refusal =
    cancel_requested === true
      ? 'A cancel was accepted already.'
      : point_of_no_return_passed === true
        ? 'It is past the point of no return and only goes forward.'
        : null;
  return h(
    'div.buttons',
    {},
    can.pause && paused && button('resume', 'Resume', { data }),
    can.pause && !paused && button('pause', 'Pause…', { data }),
    button('cancel', 'Cancel…', { data, kind: 'danger', disabled: refusal, label: `Cancel ${kind}` }),
  );
}

export function webUi({ web_ui_url }) {
  if (web_ui_url === null || !/^https?:\/\//.test(web_ui_url)) return null;
  return [' · ', h('a', { href: web_ui_url, rel: 'noreferrer noopener', target: '_blank' }, 'in the Temporal Web UI')];
}

function progressOf({ phase, points_done, points_expected, bytes_done, rate_points_per_s, eta_s }) {
  const share = points_expected > 0 ? Math.min(1, points_done / points_expected) : null;
  const facts = [
    points_expected > 0
      ? `${count(points_done)} of ${count(points_expected)} points`
      : points_done > 0
        ? `${count(points_done)} points`
        : null,
    bytes_done > 0 ? bytes(bytes_done) : null,
    rate_points_per_s > 0 ? `${short(Math.round(rate_points_per_s))} points/s` : null,
    eta_s === null ? null : `${duration(eta_s * 1_000)} left in this phase`,
  ].filter((each) => each !== null);
  return h(
    'div.far',
    {},
    h('div.heading', {}, h('strong', {}, phase ?? 'unknown phase'), share !== null && h('span', {}, percent(share))),
    progressBar(share, `Progress of the phase ${phase ?? 'unknown'}`),
    h('p.facts', {}, facts.length === 0 ? 'This phase moves no points.' : facts.join(' · ')),
  );
}

function waitOf({ waiting }) {
  if (waiting === null) return null;
  return h(
    'div.wait',
    {},
    h('strong', {}, `Waits for ${age(sinceMs(waiting.since))}: `),
    h('span', {}, waiting.reason),
    h('p', {}, `It ends when ${waiting.ends_when}`),
  );
}

/** What slows it down just now. An older API does not tell. */
function slowedOf({ slowed = [] }) {
  if (slowed.length === 0) return null;
  return h(
    'div.wait.slowed',
    {},
    h('strong', {}, 'Slowed down: '),
    slowed.map(({ text }) => h('p', {}, `${text}.`)),
  );
}

/** Each phase as a line: name, where in the whole it ran, how long it took, and what it found or did. */
export function timeLine({ phases, started_at, ended_at, status }) {
  if (phases.length === 0) return null;
  const from = Date.parse(started_at);
  const to = Math.max(
    from + 1,
    ended_at === null ? nowMs() : Date.parse(ended_at),
    ...phases.map((each) => Date.parse(each.ended_at ?? each.started_at)),
  );
  const shareOf = (ms) => Math.min(1, Math.max(0, (ms - from) / (to - from)));
  return h(
    'ol.time-line',
    { 'aria-label': 'Phases' },
    phases.map((each) => {
      const started = Date.parse(each.started_at);
      const ended = each.ended_at === null ? to : Date.parse(each.ended_at);
      const isNow = each.ended_at === null && status === 'running';
      const state = isNow ? 'now' : each.phase === 'undo' ? 'undo' : 'over';
      return h(
        `li.${state}`,
        isNow ? { 'aria-current': 'step' } : {},
        h('span.phase', {}, each.phase, FLIPS.has(each.phase) && h('span.flip', {}, 'flip')),
        phaseTrack({ fromShare: shareOf(started), toShare: shareOf(ended), state }),
        h('span.took', {}, duration(ended - started)),
        each.note !== '' && h('span.what', {}, each.note),
      );
    }),
  );
}
