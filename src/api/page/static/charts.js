/** The pictures: inline SVG in pixels of the place that they get, so that their words stay readable on a phone. */
import { clock, count, percent, s, short } from './dom.js';

const ROW = 30;
const BAND = 52;
/** Above the bars and below them, for the word of a mark. */
const WORD = 22;

/**
 * Each shard's points as a bar against the policy's mark. Above them one band has the share of all ids that each shard owns.
 * `shards`: [{id, role, rows}], rows null when unknown. `marks`: [{name, points}].
 */
export function fleetPicture({ shards, marks, width }) {
  const left = 46;
  const right = 72;
  const room = Math.max(80, width - left - right);
  const [isHigh, isLow] = ['mark', 'low mark'].map((name) => marks.some((each) => each.name === name));
  const top = BAND + (isHigh ? WORD : 0);
  const bottom = top + shards.length * ROW;
  const height = bottom + (isLow ? WORD : 6);
  const most = Math.max(1, ...shards.map(({ rows }) => rows ?? 0), ...marks.map(({ points }) => points));
  const x = (points) => left + (points / (most * 1.12)) * room;
  const high = marks.find(({ name }) => name === 'mark');
  return s(
    'svg',
    {
      class: 'fleet',
      width,
      height,
      viewBox: `0 0 ${width} ${height}`,
      role: 'img',
      'aria-label': inWords(shards, high),
    },
    hatch('hatch-joining', 'hatch joining'),
    hatch('hatch-unknown', 'hatch unknown'),
    shareBand({ shards, left, room }),
    shards.map((shard, index) => shardBar(shard, { y: top + index * ROW, left, room, width, x, high })),
    marks.map((mark) => markLine(mark, { x: x(mark.points), top, bottom, left, room })),
  );
}

function inWords(shards, high) {
  const each = shards.map(({ id, role, rows }) => `shard ${id}, ${role}: ${count(rows)} points`);
  return `Points by shard${high === undefined ? '' : `, the mark is ${count(high.points)}`}. ${each.join('; ')}`;
}

function hatch(id, className) {
  return s(
    'pattern',
    { id, class: className, width: 6, height: 6, patternUnits: 'userSpaceOnUse', patternTransform: 'rotate(45)' },
    s('rect', { width: 6, height: 6, class: 'ground' }),
    s('rect', { width: 2.5, height: 6, class: 'stripe' }),
  );
}

/** A pattern cannot be named in a style sheet, where its address would be the sheet's. */
const fillOf = ({ role }) => (role === 'joining' ? 'url(#hatch-joining)' : null);

/** Rendezvous hashing gives the same share to every shard that is not leaving. */
export const ownedShare = (shard, shards) =>
  shard.role === 'leaving' ? 0 : 1 / Math.max(1, shards.filter(({ role }) => role !== 'leaving').length);

function shareBand({ shards, left, room }) {
  const owners = shards.filter(({ role }) => role !== 'leaving');
  const width = room / Math.max(1, owners.length);
  const wordy = width > 44;
  return s(
    'g',
    { class: 'band' },
    s('text', { x: left, y: 12, class: 'caption' }, 'share of all ids that a shard owns'),
    owners.map((shard, index) => [
      s('rect', {
        x: left + index * width + (index === 0 ? 0 : 1),
        y: 19,
        width: Math.max(1, width - (index === 0 ? 0 : 1)),
        height: 20,
        class: `owned ${shard.role}`,
        fill: fillOf(shard),
      }),
      wordy &&
        s(
          'text',
          { x: left + (index + 0.5) * width, y: 33, class: `inside ${shard.role}` },
          `${width > 92 ? `${shard.id} · ` : ''}${percent(ownedShare(shard, shards))}`,
        ),
    ]),
  );
}

function shardBar({ id, role, rows }, { y, left, room, width, x, high }) {
  const isOver = high !== undefined && rows !== null && rows > high.points;
  const end = rows === null ? left : Math.max(x(rows), rows > 0 ? left + 2 : left);
  return s(
    'g',
    { class: `shard ${role}` },
    s('text', { x: left - 10, y: y + 16, class: 'name' }, `${id}`),
    s('rect', { x: left, y: y + 3, width: room, height: 18, rx: 4, class: 'track' }),
    rows === null
      ? s('rect', { x: left, y: y + 3, width: room, height: 18, rx: 4, fill: 'url(#hatch-unknown)' })
      : s('rect', {
          x: left,
          y: y + 3,
          width: end - left,
          height: 18,
          rx: 4,
          class: `load ${role}${isOver ? ' over' : ''}`,
          fill: fillOf({ role }),
        }),
    s('text', { x: width - 4, y: y + 16, class: `value${isOver ? ' over' : ''}` }, short(rows)),
  );
}

function markLine({ name, points }, { x, top, bottom, left, room }) {
  const isHigh = name === 'mark';
  const isLate = x > left + room / 2;
  return s(
    'g',
    { class: `mark ${isHigh ? 'high' : 'low'}` },
    s('line', { x1: x, x2: x, y1: isHigh ? top - 6 : top, y2: isHigh ? bottom : bottom + 6 }),
    s(
      'text',
      { x: x + (isLate ? 4 : -4), y: isHigh ? top - 11 : bottom + 18, class: isLate ? 'to-left' : 'to-right' },
      `${name} ${short(points)}`,
    ),
  );
}

/**
 * The fullest shard over the kept evaluations against the mark, and the forecast as a dashed line to the right of now.
 * `evaluations` newest first. Null when fewer than two of them tell a number.
 */
export function loadChart({ evaluations, mark, forecast, width }) {
  const seen = evaluations
    .filter(({ points_max }) => points_max !== null)
    .map(({ at, points_max }) => ({ ms: Date.parse(at), points: points_max }))
    .reverse();
  const [first, last] = [seen[0], seen.at(-1)];
  if (first === undefined || last === undefined || seen.length < 2) return null;
  const span = Math.max(1_000, last.ms - first.ms);
  // The forecast looks as far ahead as a third of what is behind.
  const endMs = last.ms + (forecast === null ? span * 0.04 : span / 3);
  const ahead = forecast === null ? null : last.points + (forecast.points_per_day * (endMs - last.ms)) / 86_400_000;
  const top = Math.max(1, mark, ahead ?? 0, ...seen.map(({ points }) => points)) * 1.15;
  const step = roundStep(top / 4);
  const box = { left: 46, right: width - 10, top: 14, bottom: 128 };
  const x = (ms) => box.left + ((ms - first.ms) / (endMs - first.ms)) * (box.right - box.left);
  const y = (points) => box.bottom - (Math.max(0, points) / top) * (box.bottom - box.top);
  const line = seen.map(
    ({ ms, points }, index) => `${index === 0 ? 'M' : 'L'}${x(ms).toFixed(1)} ${y(points).toFixed(1)}`,
  );
  const area = `${line.join('')}L${x(last.ms).toFixed(1)} ${box.bottom}L${x(first.ms).toFixed(1)} ${box.bottom}Z`;
  const words =
    `Points of the fullest shard from ${clock(evaluations.at(-1).at)} to ${clock(evaluations[0].at)}: ` +
    `${count(first.points)}, then ${count(last.points)}${mark > 0 ? `; the mark is ${count(mark)}` : ''}`;
  return s(
    'svg',
    { class: 'chart', width, height: 150, viewBox: `0 0 ${width} 150`, role: 'img', 'aria-label': words },
    [0, 1, 2, 3, 4]
      .map((n) => n * step)
      .filter((points) => points <= top)
      .map((points) => gridLine({ points, y, box })),
    s('path', { d: area, class: 'area' }),
    s('path', { d: line.join(''), class: 'line' }),
    ahead !== null && s('line', { x1: x(last.ms), y1: y(last.points), x2: x(endMs), y2: y(ahead), class: 'forecast' }),
    mark > 0 && s('line', { x1: box.left, x2: box.right, y1: y(mark), y2: y(mark), class: 'mark-line' }),
    mark > 0 && s('text', { x: box.left + 4, y: y(mark) - 4, class: 'mark-word' }, 'mark'),
    seen.map(({ ms, points }) => s('circle', { cx: x(ms), cy: y(points), r: 2.5, class: 'dot' })),
    s('text', { x: box.left, y: 146, class: 'axis start' }, clock(new Date(first.ms).toISOString())),
    s(
      'text',
      { x: x(last.ms), y: 146, class: `axis ${forecast === null ? 'end' : 'middle'}` },
      clock(evaluations[0].at),
    ),
    forecast !== null && s('text', { x: box.right, y: 146, class: 'axis end' }, 'forecast'),
  );
}

/** The next of 1, 2 and 5 times a power of ten. */
function roundStep(least) {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, least)));
  return ([1, 2, 5].find((n) => n * power >= least) ?? 10) * power;
}

function gridLine({ points, y, box }) {
  return [
    s('line', { x1: box.left, x2: box.right, y1: y(points), y2: y(points), class: 'grid' }),
    s('text', { x: box.left - 6, y: y(points) + 4, class: 'axis end' }, short(points)),
  ];
}

/** Where in the life of an operation a phase ran. All in percent, so it fits any width. */
export function phaseTrack({ fromShare, toShare, state }) {
  // A phase of a moment is still to be seen.
  const width = Math.max(0.8, (toShare - fromShare) * 100);
  const from = Math.min(fromShare * 100, 100 - width);
  return s(
    'svg',
    { class: 'track', width: '100%', height: 14, 'aria-hidden': 'true' },
    s('rect', { x: 0, y: 5, width: '100%', height: 4, rx: 2, class: 'rail' }),
    s('rect', {
      x: `${from.toFixed(2)}%`,
      y: 2,
      width: `${width.toFixed(2)}%`,
      height: 10,
      rx: 3,
      class: `span ${state}`,
    }),
  );
}

/** A bar of progress; `share` null: it is not known how far it is. */
export function progressBar(share, label) {
  const known = share === null ? {} : { 'aria-valuenow': Math.round(share * 100) };
  return s(
    'svg',
    {
      class: `progress${share === null ? ' unknown' : ''}`,
      width: '100%',
      height: 12,
      role: 'progressbar',
      'aria-valuemin': 0,
      'aria-valuemax': 100,
      'aria-label': label,
      ...known,
    },
    s('rect', { width: '100%', height: 12, rx: 6, class: 'rail' }),
    s('rect', { width: `${((share ?? 0) * 100).toFixed(1)}%`, height: 12, rx: 6, class: 'done' }),
  );
}
