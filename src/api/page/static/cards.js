/** The cards of the page: what the coordinator answered, as elements. Nothing here asks or changes anything. */
import { fleetPicture, loadChart, ownedShare } from './charts.js';
import { age, ago, button, chip, count, h, heading, nowMs, percent, plural, problemLine, short } from './dom.js';
import { statusChip, timeLine, webUi } from './operation.js';

export function summaryTiles({ map, shards, autoscale, notices, operation }) {
  const list = shards?.shards ?? null;
  const rows = list?.map((each) => each.rows) ?? [];
  const isCounted = list !== null && rows.every((each) => each !== null);
  const most = rows.every((each) => each === null) ? null : Math.max(...rows.map((each) => each ?? 0));
  const mark = autoscale?.policy.high_water_points ?? 0;
  const found = notices?.length ?? null;
  return [
    tile(
      'Map',
      map === null ? 'unknown' : `v${map.version}`,
      map?.stale ?? 'the version that routers should hold',
      map?.stale ? 'warn' : '',
    ),
    tile('Shards', list === null ? 'unknown' : count(list.length), list === null ? '' : rolesInWords(list)),
    tile(
      'Points',
      isCounted ? short(rows.reduce((sum, each) => sum + each, 0)) : 'unknown',
      'on all shards, copies included',
    ),
    tile(
      'Fullest shard',
      mark > 0 && most !== null ? percent(most / mark) : most === null ? 'unknown' : short(most),
      mark > 0 ? `of the mark of ${short(mark)}` : `points; the mark is ${autoscale === null ? 'unknown' : 'not set'}`,
      mark > 0 && most !== null && most > mark ? 'warn' : '',
    ),
    tile(
      'Notices',
      found === null ? 'unknown' : count(found),
      found === null ? 'not read yet' : found === 0 ? 'nothing needs you' : 'to look at',
      found > 0 ? 'warn' : '',
    ),
    tile(
      'Operation',
      operation === null ? 'none' : operation.kind,
      operation === null ? 'the cluster is at rest' : operation.paused ? 'paused' : (operation.phase ?? 'running'),
    ),
  ];
}

const tile = (name, value, words, kind = '') =>
  h(
    `div.tile${kind === '' ? '' : `.${kind}`}`,
    {},
    h('span.name', {}, name),
    h('strong', {}, value),
    h('span.words', {}, words),
  );

function rolesInWords(list) {
  const of = (role) => list.filter((each) => each.role === role).length;
  const parts = [
    [of('owner'), 'owners'],
    [of('joining'), 'joining'],
    [of('leaving'), 'leaving'],
  ];
  return parts
    .filter(([n]) => n > 0)
    .map(([n, word]) => `${n} ${n === 1 && word === 'owners' ? 'owner' : word}`)
    .join(', ');
}

export function shardsCard({ shards, health, autoscale, problem, mayChange, isBusy, width }) {
  const list = shards?.shards ?? [];
  const { high_water_points: high = 0, low_water_points: low = 0 } = autoscale?.policy ?? {};
  const marks = [
    { name: 'mark', points: high },
    { name: 'low mark', points: low },
  ].filter(({ points }) => points > 0);
  const stays = list.filter(({ role }) => role === 'owner').length;
  const total = list.every(({ rows }) => rows !== null) ? list.reduce((sum, { rows }) => sum + rows, 0) : null;
  return [
    heading('shards-title', 'Shards', mayChange && button('grow', 'Grow…', { kind: 'primary', disabled: isBusy })),
    problemLine(problem),
    list.length > 0 && h('div.picture', {}, fleetPicture({ shards: list, marks, width })),
    h(
      'ul.shard-list',
      {},
      list.map((shard) =>
        shardItem(shard, { list, total, health, mayDrain: mayChange && shard.role === 'owner', isBusy, stays }),
      ),
    ),
  ];
}

function shardItem(shard, { list, total, health, mayDrain, isBusy, stays }) {
  const { id, role, primary_url, replica_urls, rows, source } = shard;
  const answers = health?.[id];
  const held = total === null || total === 0 || rows === null ? null : rows / total;
  return h(
    'li',
    {},
    h(
      'div',
      {},
      h('strong', {}, `shard ${id}`),
      ' ',
      chip(role, role === 'owner' ? '' : 'info'),
      answers === false && [' ', chip('does not answer', 'bad')],
      h('span.url', {}, primary_url),
      h(
        'span.facts',
        {},
        `${count(rows)} points · owns ${percent(ownedShare(shard, list))} of all ids` +
          (held === null ? '' : ` · holds ${percent(held)} of all points`) +
          (replica_urls.length === 0 ? '' : ` · ${plural(replica_urls.length, 'replica')}`) +
          (source === null ? '' : ` · read through its ${source === 'pages' ? 'pages' : source}`),
      ),
    ),
    mayDrain &&
      button('drain', 'Drain…', {
        data: { id, url: primary_url },
        label: `Drain shard ${id}`,
        disabled: isBusy ?? (stays < 2 ? 'It is the last shard that owns ids.' : null),
      }),
  );
}

export function noticesCard({ notices, problem, mayChange }) {
  return [
    heading('notices-title', 'Notices'),
    problemLine(problem),
    notices !== null && notices.length === 0 && h('p.calm', {}, 'None. Nothing needs a person.'),
    h(
      'ul.notices',
      {},
      (notices ?? []).map(({ key, code, message, since, last_seen, operation_id }) =>
        h(
          'li',
          {},
          h('div', {}, chip(code, 'warn'), h('span.when', {}, 'since ', ago(since), ', last seen ', ago(last_seen))),
          h('p', {}, message),
          operation_id !== null && h('p.when', {}, operation_id),
          mayChange &&
            key !== null &&
            button('dismiss', 'Dismiss', { data: { key }, label: `Dismiss the notice ${code}`, kind: 'quiet' }),
        ),
      ),
    ),
  ];
}

export function autoscaleCard({ autoscale, problem, width }) {
  if (autoscale === null) return [heading('autoscale-title', 'Autoscale'), problemLine(problem)];
  const { policy, standbys, evaluations, forecast, next_evaluation_at, cooldown_left_secs, notices } = autoscale;
  const groups = alike(evaluations);
  const chart = loadChart({ evaluations, mark: policy.high_water_points, forecast, width });
  return [
    heading(
      'autoscale-title',
      'Autoscale',
      chip(policy.enabled ? 'enabled' : 'disabled', policy.enabled ? 'good' : ''),
    ),
    problemLine(problem),
    h('p.facts', {}, policyInWords(policy)),
    chart !== null && h('div.picture', {}, chart),
    h('p.facts', {}, forecastInWords(forecast, policy, evaluations[0]?.points_max ?? null)),
    h(
      'dl',
      {},
      fact(
        'Next look',
        next_evaluation_at === null
          ? 'none planned'
          : `in ${age(Math.max(0, Date.parse(next_evaluation_at) - nowMs()))}`,
      ),
      fact('Cooldown', cooldown_left_secs === 0 ? 'over' : `${age(cooldown_left_secs * 1_000)} left`),
      fact('Standbys', standbys.length === 0 ? 'none' : standbys.map(standbyInWords).join(', ')),
    ),
    notices.map(({ code, message }) => h('p.inline-notice', {}, chip(code, 'warn'), ' ', message)),
    evaluations.length > 0 && h('h3', {}, 'Decisions'),
    h('ul.decisions', {}, groups.slice(0, 4).map(decision)),
    groups.length > 4 &&
      h(
        'details',
        {},
        h('summary', {}, `${groups.length - 4} earlier`),
        h('ul.decisions', {}, groups.slice(4).map(decision)),
      ),
  ];
}

const fact = (name, value) => h('div', {}, h('dt', {}, name), h('dd', {}, value));

const standbyInWords = ({ primary_url, unusable }) =>
  `${primary_url}${unusable === null ? '' : ` (unusable: ${unusable.reason})`}`;

function policyInWords({ enabled, high_water_points, low_water_points, min_shards, max_shards, interval_secs }) {
  if (high_water_points === 0) return 'The policy has no mark in points.';
  const grows = `${enabled ? 'Grows' : 'Would grow'} when a shard has more than ${count(high_water_points)} points`;
  const cap = max_shards === 0 ? '' : `, up to ${plural(max_shards, 'shard')}`;
  const shrinks =
    low_water_points === 0
      ? ''
      : ` Shrinks when every shard has fewer than ${count(low_water_points)}, down to ${plural(min_shards, 'shard')}.`;
  return `${grows}${cap}.${shrinks} Looks every ${age(interval_secs * 1_000)}.`;
}

function forecastInWords(forecast, { high_water_points }, newest) {
  if (forecast === null) return 'No forecast yet: it needs three evaluations over a minute since the last move.';
  const { points_per_day, days_until_mark } = forecast;
  const speed = `The fullest shard ${points_per_day < 0 ? 'loses' : 'gains'} ${short(Math.abs(points_per_day))} points a day`;
  if (high_water_points === 0) return `${speed}.`;
  if (days_until_mark === null) return `${speed}, so the mark comes no nearer.`;
  if (days_until_mark === 0 && newest < high_water_points) return `${speed} and reaches the mark within minutes.`;
  return days_until_mark === 0
    ? `${speed} and is above the mark.`
    : `${speed}: the mark is ${age(days_until_mark * 86_400_000)} away.`;
}

/** Decisions in a row that say the same are one line. Newest first. */
function alike(evaluations) {
  const groups = [];
  for (const each of evaluations) {
    const last = groups.at(-1);
    if (last?.reason === each.reason && last.operation_id === each.operation_id) last.times += 1;
    else groups.push({ ...each, times: 1 });
  }
  return groups;
}

function decision({ at, reason, message, operation_id, refusal, times }) {
  const kind = refusal !== null ? 'warn' : operation_id !== null ? 'good' : '';
  const repeated = times === 1 ? '' : `, ${times} times in a row`;
  return h(
    'li',
    {},
    h('div', {}, chip(reason.replaceAll('_', ' '), kind), h('span.when', {}, ago(at), repeated)),
    h('p', {}, message),
  );
}

export function routersCard({ routers, map, problem }) {
  const { routers: known = [], pollers = [] } = routers ?? {};
  const version = (held) =>
    held === null ? chip('unknown', 'warn') : chip(`v${held}`, map !== null && held < map.version ? 'warn' : 'good');
  const strangers = pollers.filter(({ explained_by }) => explained_by === null);
  return [
    heading('routers-title', 'Who holds which version', map !== null && chip(`map v${map.version}`)),
    problemLine(problem),
    known.length === 0 && h('p.calm', {}, 'No routers are listed.'),
    h(
      'ul.routers',
      {},
      known.map(({ url, version: held, error }) =>
        h(
          'li',
          {},
          h('span.url', {}, url),
          error === null ? version(held) : chip('no answer', 'bad'),
          error !== null && h('p.when', {}, error),
        ),
      ),
    ),
    strangers.length > 0 && h('h3', {}, 'Polls the map, and is no listed router'),
    h(
      'ul.routers',
      {},
      strangers.map(({ address, key_id, last_poll, version: held }) =>
        h('li', {}, h('span.url', {}, `${address} with ${key_id}`), version(held), h('span.when', {}, ago(last_poll))),
      ),
    ),
  ];
}

export function historyCard({ ended, problem }) {
  return [
    heading('history-title', 'History'),
    problemLine(problem),
    ended !== null && ended.length === 0 && h('p.calm', {}, 'No operation has ended yet.'),
    h('ul.history', {}, (ended ?? []).slice(0, 20).map(historyItem)),
    (ended?.length ?? 0) > 20 && h('p.when', {}, `${ended.length - 20} older: GET /cluster/operations`),
  ];
}

function historyItem(operation) {
  const { id, kind, shard_ids, started_at, ended_at, outcome } = operation;
  const shardsInWords = shard_ids.length === 0 ? '' : ` shard ${shard_ids.join(', ')}`;
  const took = ended_at === null ? '' : ` · took ${age(Date.parse(ended_at) - Date.parse(started_at))}`;
  return h(
    'li',
    { id: `history-${id}` },
    h(
      'div',
      {},
      h('strong', {}, `${kind}${shardsInWords}`),
      ' ',
      statusChip(operation),
      h('span.when', {}, ago(started_at), took),
    ),
    outcome !== null && h('p', {}, outcome.message),
    (outcome?.attention ?? []).map(({ what, mended_by }) =>
      h('p.inline-notice', {}, chip('needs you', 'warn'), ` ${what}: ${mended_by}`),
    ),
    h(
      'details',
      { 'data-operation': id },
      h('summary', {}, 'Phases'),
      timeLine(operation) ?? h('p.when', {}, 'They are not known.'),
      h('p.when.id', {}, id, webUi(operation)),
    ),
  );
}
