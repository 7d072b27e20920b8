/**
 * Keeps `known` fresh. Events tell of changes where the coordinator has them; else the page asks every 2 s. What costs the
 * coordinator more (it asks each shard) is asked rarely, and at once when the map or the operation changes.
 */
import { answerTo, ask } from './api.js';

const LOOK_EVERY_MS = 2_000;
const LOOK_AT_ALL_EVERY_MS = 10_000;
const EVENTS_AGAIN_MS = 5_000;

/** What a card shows is null until it was read once. A route that does not exist yet leaves its part hidden. */
export const known = {
  map: null,
  shards: null,
  health: null,
  autoscale: null,
  notices: null,
  routers: null,
  operation: null,
  ended: null,
  problems: {},
  can: { routers: true, events: true, plan: false, pause: false },
  reachedAtMs: 0,
};

let onChange = () => undefined;
let onTrouble = () => undefined;
let timer = null;
let allAtMs = 0;
let askedAtMs = 0;
let events = null;
let eventsTriedAtMs = 0;

/** `changed()` after each look; `troubled(refusal | null)` when the coordinator cannot be asked, or can be again. */
export function startWatching({ changed, troubled }) {
  onChange = changed;
  onTrouble = troubled;
  stopWatching();
  document.addEventListener('visibilitychange', look);
  timer = setInterval(tick, LOOK_EVERY_MS);
  void findPlan();
  return lookAtAll();
}

export function stopWatching() {
  clearInterval(timer);
  timer = null;
  document.removeEventListener('visibilitychange', look);
  events?.close();
  events = null;
}

export const isLive = () => events?.readyState === EventSource.OPEN;

/** Everything, now. */
export function lookAtAll() {
  allAtMs = 0;
  return look();
}

/** While events come, asking is only a second pair of eyes. */
function tick() {
  if (!isLive() || Date.now() - askedAtMs >= LOOK_AT_ALL_EVERY_MS) void look();
}

/** A look at all may wait for a shard that does not answer. The map and the operation are shown meanwhile. */
async function look() {
  // A page that nobody sees asks nothing.
  if (timer === null || document.hidden) return;
  const isAnswered = await lookAtTheMost();
  if (isAnswered && Date.now() - allAtMs >= LOOK_AT_ALL_EVERY_MS) await lookAtTheRest();
}

const lookAtTheMost = oneAtATime(async () => {
  askedAtMs = Date.now();
  await lookAtMapAndOperation();
});

const lookAtTheRest = oneAtATime(async () => {
  allAtMs = Date.now();
  await Promise.all([lookAtOperations(), lookAtShards(), lookAtAutoscale(), lookAtNotices(), lookAtRouters()]);
});

/** Whoever asks while one runs gets that one's answer, and true when there was one. */
function oneAtATime(work) {
  let running = null;
  const run = async () => {
    try {
      await work();
      known.reachedAtMs = Date.now();
      listen();
      onTrouble(null);
      return true;
    } catch (refusal) {
      allAtMs = 0;
      onTrouble(refusal);
      return false;
    } finally {
      running = null;
      onChange();
    }
  };
  return () => (running ??= run());
}

async function lookAtMapAndOperation() {
  const before = known.map?.version;
  await part('map', async () => {
    const { json, headers } = await answerTo('/cluster/map');
    const stale = headers.get('Coordinator-Map-Stale');
    const [age, reason] = stale?.split('; reason=') ?? [];
    known.map = { ...json, stale: stale === null ? null : `the last known map, ${age} s old: ${reason}` };
  });
  if (known.map?.version !== before) allAtMs = 0;
  const running = known.operation;
  if (running === null) return;
  await part('operation', async () => take(await ask(`/cluster/operations/${encodeURIComponent(running.id)}`)));
}

/** An operation view from a call or an event. */
function take(operation) {
  known.can.pause = known.can.pause || 'paused' in operation;
  if (operation.status === 'running') {
    known.operation = operation;
    return;
  }
  if (known.operation?.id === operation.id) known.operation = null;
  const at = known.ended?.findIndex(({ id }) => id === operation.id) ?? -1;
  if (at >= 0) known.ended[at] = operation;
  else known.ended?.unshift(operation);
  if (at < 0) allAtMs = 0;
}

const lookAtOperations = () =>
  part('operations', async () => {
    const { operations } = await ask('/cluster/operations');
    known.operation = operations.find(({ status }) => status === 'running') ?? null;
    // The list knows the phases of some only, and only while a worker answers.
    const phases = new Map((known.ended ?? []).map((each) => [each.id, each.phases]));
    known.ended = operations
      .filter(({ status }) => status !== 'running')
      .map((each) => (each.phases.length > 0 ? each : { ...each, phases: phases.get(each.id) ?? [] }));
    known.can.pause = operations.some((each) => 'paused' in each);
  });

/** Of an operation that ended, when somebody wants to see them. */
export async function findPhases(id) {
  if (known.ended?.find((each) => each.id === id)?.phases.length !== 0) return;
  await part('operations', async () => take(await ask(`/cluster/operations/${encodeURIComponent(id)}`)));
  onChange();
}

const lookAtShards = () =>
  part('shards', async () => {
    [known.shards, known.health] = await Promise.all([
      ask('/cluster/shards'),
      ask('/cluster/health').catch(() => null),
    ]);
  });

const lookAtAutoscale = () => part('autoscale', async () => void (known.autoscale = await ask('/cluster/autoscale')));

const lookAtNotices = () => part('notices', async () => void (known.notices = (await ask('/cluster/notices')).notices));

async function lookAtRouters() {
  if (!known.can.routers) return;
  await part('routers', async () => {
    try {
      known.routers = await ask('/cluster/routers');
    } catch (refusal) {
      if (refusal.code !== 'UnknownRoute') throw refusal;
      known.can.routers = false;
    }
  });
}

/** A card that cannot be read says why, and the others go on. Without an answer, or without a session, nothing does. */
async function part(name, read) {
  try {
    await read();
    known.problems[name] = null;
  } catch (refusal) {
    if (refusal.status === 0 || refusal.status === 401) throw refusal;
    known.problems[name] = refusal.message;
  }
}

/** Opens the stream of events, unless it is open or the coordinator has none. */
function listen() {
  const isOpen = events !== null && events.readyState !== EventSource.CLOSED;
  if (!known.can.events || isOpen || Date.now() - eventsTriedAtMs < EVENTS_AGAIN_MS) return;
  eventsTriedAtMs = Date.now();
  void openEvents();
}

async function openEvents() {
  const giveUp = new AbortController();
  try {
    const { status } = await fetch('/cluster/events', {
      signal: giveUp.signal,
      headers: { Accept: 'text/event-stream' },
    });
    giveUp.abort();
    if (status === 404) known.can.events = false;
    if (status !== 200 || timer === null) return;
  } catch {
    return;
  }
  events = new EventSource('/cluster/events');
  events.addEventListener('open', () => onChange());
  events.addEventListener('error', () => void look());
  events.addEventListener('operation', ({ data }) => {
    take(JSON.parse(data));
    onChange();
    if (allAtMs === 0) void look();
  });
  events.addEventListener('map', () => void lookAtAll());
  events.addEventListener('notices', ({ data }) => {
    known.notices = JSON.parse(data).notices;
    onChange();
  });
}

/**
 * A coordinator that does not know `dry_run` would start the operation. So its own description must name it before the page offers
 * a plan.
 */
async function findPlan() {
  try {
    const { paths } = await ask('/openapi.json');
    known.can.plan = /dry_?run/i.test(JSON.stringify(paths['/cluster/shards/grow'].post));
  } catch {
    known.can.plan = false;
  }
}
