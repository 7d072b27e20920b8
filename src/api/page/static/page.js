/** The status page: who is logged in, what is drawn, and what a button does. See docs/guides/status-page.md. */
import { ask, freshKey, Refusal } from './api.js';
import { autoscaleCard, historyCard, noticesCard, routersCard, shardsCard, summaryTiles } from './cards.js';
import { confirmChange } from './dialog.js';
import { age, show } from './dom.js';
import { operationCard } from './operation.js';
import { findPhases, isLive, known, lookAtAll, startWatching, stopWatching } from './watch.js';

const TRY_AGAIN_MS = 2_000;
const of = (id) => document.getElementById(id);

let session = null;
let trouble = null;
let told = null;

async function start() {
  try {
    session = await ask('/page/session');
  } catch (refusal) {
    if (refusal.status === 401) return askForKey('');
    // 429 and whatever else: the server's own words, and another try.
    showTrouble(refusal);
    setTimeout(() => void start(), TRY_AGAIN_MS);
    return;
  }
  showTrouble(null);
  of('login').hidden = true;
  of('board').hidden = false;
  of('cluster').textContent = session.cluster;
  of('who').textContent = session.is_open
    ? 'no keys: everybody may do everything'
    : `${session.key_id} · ${session.role}`;
  of('logout').hidden = session.is_open;
  await startWatching({ changed: draw, troubled: onTrouble });
}

function askForKey(problem) {
  session = null;
  stopWatching();
  showTrouble(null);
  of('dialog').close();
  of('board').hidden = true;
  of('logout').hidden = true;
  of('who').textContent = '';
  of('login').hidden = false;
  of('login-problem').textContent = problem;
  document.body.dataset.state = 'login';
  showLive('starting', 'not logged in');
  of('key').focus();
}

of('login-form').addEventListener('submit', async (event) => {
  event.preventDefault();
  const field = of('key');
  try {
    await ask('/login', { method: 'POST', form: new URLSearchParams({ key: field.value.trim() }) });
    field.value = '';
    of('login-problem').textContent = '';
    await start();
    of('main').focus({ preventScroll: true });
  } catch (refusal) {
    of('login-problem').textContent =
      refusal.code === 'Unauthenticated' ? 'This is not a key of this coordinator.' : refusal.message;
    field.select();
  }
});

of('logout').addEventListener('click', async () => {
  await ask('/logout', { method: 'POST' }).catch(() => undefined);
  location.reload();
});

function onTrouble(refusal) {
  if (refusal !== null && refusal.status === 401) askForKey('Your session has ended. Log in again.');
  else
    showTrouble(
      refusal instanceof Refusal || refusal === null ? refusal : new Refusal(0, 'Unforeseen', String(refusal)),
    );
}

function showTrouble(refusal) {
  if (refusal === null && trouble !== null && session !== null) say('The coordinator answers again.');
  trouble = refusal;
  const since = known.reachedAtMs === 0 ? '' : `What you see is ${age(Date.now() - known.reachedAtMs)} old.`;
  of('away').hidden = refusal === null;
  of('away').dataset.kind = refusal?.status === 0 ? 'away' : 'trouble';
  // The words are an alert, so they change only when there is something new to tell.
  const words = refusal === null ? '' : `${refusal.message} The page tries again by itself.`;
  if (of('away-what').textContent !== words) of('away-what').textContent = words;
  of('away-age').textContent = since;
  document.body.dataset.state = refusal === null ? 'there' : 'away';
  if (refusal !== null)
    showLive(refusal.status === 0 ? 'away' : 'trouble', refusal.status === 0 ? 'no answer' : 'trouble');
}

function showLive(state, words) {
  of('live').dataset.live = state;
  of('live').lastElementChild.textContent = words;
}

/** For those who do not see the page. */
function say(words) {
  of('said').textContent = words;
}

function draw() {
  if (session === null) return;
  if (trouble === null) showLive(isLive() ? 'live' : 'polling', isLive() ? 'live' : 'every 2 s');
  const { map, shards, health, autoscale, notices, routers, operation, ended, problems, can } = known;
  const mayChange = session.role === 'admin';
  const isBusy = operation === null ? null : `${operation.id} runs. Wait for its end, or cancel it.`;
  const widthOf = (id) => Math.max(240, of(id).clientWidth - 36);
  const problem = (name) => problems[name] ?? null;
  show(of('summary'), summaryTiles({ map, shards, autoscale, notices, operation }));
  show(
    of('operation'),
    operationCard({
      operation,
      last: ended?.[0] ?? null,
      problem: problem('operation') ?? problem('operations'),
      mayChange,
      can,
    }),
  );
  show(
    of('shards'),
    shardsCard({ shards, health, autoscale, problem: problem('shards'), mayChange, isBusy, width: widthOf('shards') }),
  );
  show(of('history'), historyCard({ ended, problem: problem('operations') }));
  show(of('notices'), noticesCard({ notices, problem: problem('notices'), mayChange }));
  show(of('autoscale'), autoscaleCard({ autoscale, problem: problem('autoscale'), width: widthOf('autoscale') }));
  of('routers').hidden = !can.routers || (routers === null && problem('routers') === null);
  show(of('routers'), routersCard({ routers, map, problem: problem('routers') }));
  tellChanges();
}

function tellChanges() {
  const { operation, ended } = known;
  const last = ended?.[0];
  const words =
    operation !== null
      ? `${operation.kind} is in the phase ${operation.phase}${operation.waiting === null ? '' : ' and waits'}`
      : last === undefined
        ? 'Nothing runs'
        : `${last.kind} ended: ${last.status}`;
  if (told !== null && words !== told) say(words);
  document.title = `${operation === null ? '' : `${operation.kind}: ${operation.phase} · `}${session.cluster} · Quiver coordinator`;
  told = words;
}

/** By `data-do` of a button. Each returns the change to confirm; `confirmChange` says what its fields mean. */
const CHANGES = {
  grow: () => ({
    title: 'Grow the cluster',
    go: 'Grow',
    words: [
      'Each line is one new shard: its URL, then the URLs of its replicas, with blanks between them.',
      'Its points move while the cluster goes on. You can cancel until the flip.',
    ],
    fields: [
      {
        name: 'shards',
        label: 'New shards',
        kind: 'lines',
        placeholder: 'http://s3:6333',
        value: (known.autoscale?.standbys ?? [])
          .filter(({ unusable }) => unusable === null)
          .slice(0, 1)
          .map(({ primary_url, replica_urls }) => [primary_url, ...replica_urls].join(' '))
          .join('\n'),
      },
      {
        name: 'allow_nonempty',
        label: 'Take shards that hold points already. What they hold of the slice is overwritten or deleted.',
        kind: 'check',
      },
    ],
    path: '/cluster/shards/grow',
    canPlan: true,
    bodyOf: ({ shards, allow_nonempty }) => ({
      shards: addressesIn(shards),
      ...(allow_nonempty ? { allow_nonempty } : {}),
    }),
  }),
  drain: ({ id, url }) => ({
    title: `Drain shard ${id}`,
    go: 'Drain',
    kind: 'danger',
    words: [
      `All points of shard ${id} (${url}) move to the other shards. Then the shard leaves the cluster.`,
      'You can cancel until the flip.',
    ],
    path: `/cluster/shards/${encodeURIComponent(id)}/drain`,
    canPlan: true,
    bodyOf: () => ({}),
  }),
  check: () => ({
    title: 'Check the cluster',
    go: 'Check',
    words: [
      'Reads every point and compares where it lies with where the map has it. Nothing is changed.',
      'It holds the lock: nothing else can start meanwhile. Each scan stops its shard for a moment.',
    ],
    path: '/cluster/check',
    canPlan: true,
    bodyOf: () => ({}),
  }),
  cancel: ({ id, kind }) => ({
    title: `Cancel the ${kind}`,
    go: `Cancel the ${kind}`,
    kind: 'danger',
    words: ['It undoes what it has changed, and the map is as before.', id],
    path: `/cluster/operations/${encodeURIComponent(id)}/cancel`,
    canPlan: true,
  }),
  pause: ({ id, kind }) => ({
    title: `Pause the ${kind}`,
    go: 'Pause',
    words: ['It stops before its next safe point.'],
    fields: [
      { name: 'reason', label: 'Why', kind: 'line', required: true, placeholder: 'peak of the day' },
      { name: 'minutes', label: 'For so many minutes (empty: until somebody resumes it)', kind: 'number' },
    ],
    path: `/cluster/operations/${encodeURIComponent(id)}/pause`,
    bodyOf: ({ reason, minutes }) => ({
      reason,
      ...(minutes === '' ? {} : { until: new Date(Date.now() + Number(minutes) * 60_000).toISOString() }),
    }),
  }),
  resume: ({ id, kind }) => ({
    title: `Resume the ${kind}`,
    go: 'Resume',
    words: ['It goes on at once.'],
    path: `/cluster/operations/${encodeURIComponent(id)}/resume`,
  }),
  dismiss: ({ key }) => ({
    title: 'Dismiss the notice',
    go: 'Dismiss',
    words: ['It comes back when its cause is still there.'],
    path: `/cluster/notices/${encodeURIComponent(key)}`,
    method: 'DELETE',
  }),
};

function addressesIn(lines) {
  const shards = lines
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([url]) => url !== '');
  return shards.map(([primary_url, ...replica_urls]) => ({ primary_url, replica_urls }));
}

document.addEventListener('click', (event) => {
  const pressed = event.target.closest('[data-do]');
  if (pressed === null || pressed.disabled) return;
  const change = CHANGES[pressed.dataset.do]?.(pressed.dataset);
  if (change === undefined) return;
  confirmChange(change, {
    canPlan: known.can.plan,
    freshKey,
    done: (words) => {
      say(words);
      void lookAtAll();
    },
  });
});

document.addEventListener(
  'toggle',
  ({ target }) => {
    const id = target.dataset.operation;
    // Whatever went wrong, the next look tells it.
    if (target.open && id !== undefined) findPhases(id).catch(() => undefined);
  },
  true,
);

let isResized = false;
new ResizeObserver(() => {
  if (isResized) return;
  isResized = true;
  requestAnimationFrame(() => {
    isResized = false;
    draw();
  });
}).observe(of('board'));
// Ages and durations go on while nothing is asked.
setInterval(() => {
  if (trouble !== null) showTrouble(trouble);
  else if (known.operation !== null && !document.hidden) draw();
}, 1_000);

void start();
