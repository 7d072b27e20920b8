/**
 * Elements from data, and words for numbers. Data reaches the document only as text and attributes, never as markup.
 */

const SVG = 'http://www.w3.org/2000/svg';

/** An HTML element: `h('p.note', { id: 'x' }, 'text', …)`. Children that are null or false are left out. */
export function h(tagAndClasses, attributes = {}, ...children) {
  const [tag, ...classes] = tagAndClasses.split('.');
  const element = document.createElement(tag);
  if (classes.length > 0) element.className = classes.join(' ');
  return fill(element, attributes, children);
}

/** An SVG element. Its look comes from the style sheet, because the page allows no inline style. */
export function s(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    element.setAttribute(name, value === true ? '' : String(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return element;
}

/** What a reader opened or typed is the reader's. */
const KEPT = new Set(['open', 'value']);

/**
 * Makes the content of `target` equal to `wanted` with the fewest changes. So the focus, a selection and an opened detail outlive
 * every refresh, and a screen reader is told only what changed.
 */
export function show(target, ...wanted) {
  const nodes = wanted.flat(Infinity).filter((each) => each instanceof Node);
  for (const [index, node] of nodes.entries()) {
    const moved = namedIn(target, node.id);
    if (moved !== undefined) target.insertBefore(moved, target.childNodes[index]);
    const old = target.childNodes[index];
    if (old === undefined) target.append(node);
    else if (isSameKind(old, node)) renew(old, node);
    // Something new with an id: what stands here may be known by another one, and wanted further down.
    else if (node.id) target.insertBefore(node, old);
    else old.replaceWith(node);
  }
  while (target.childNodes.length > nodes.length) target.lastChild.remove();
}

/** What has an id is known by it, wherever it stood before. */
function namedIn(target, id) {
  return id ? [...target.children].find((each) => each.id === id) : undefined;
}

function isSameKind(old, node) {
  return old.nodeName === node.nodeName && (old.id ?? '') === (node.id ?? '');
}

function renew(old, node) {
  if (node.nodeType === Node.TEXT_NODE) {
    if (old.data !== node.data) old.data = node.data;
    return;
  }
  for (const { name } of [...old.attributes]) {
    if (!node.hasAttribute(name) && !KEPT.has(name)) old.removeAttribute(name);
  }
  for (const { name, value } of [...node.attributes]) {
    if (old.getAttribute(name) !== value && !KEPT.has(name)) old.setAttribute(name, value);
  }
  show(old, [...node.childNodes]);
}

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });

/** Unknown is a word, never 0. */
export const count = (value) => (value === null || value === undefined ? 'unknown' : whole.format(value));
export const short = (value) =>
  value === null || value === undefined ? 'unknown' : value < 10_000 ? whole.format(value) : compact.format(value);
// The blank does not break.
export const percent = (share) => `${(share * 100).toFixed(share >= 0.0995 || share === 0 ? 0 : 1)}\u00a0%`;
export const plural = (n, one, many = `${one}s`) => `${whole.format(n)} ${n === 1 ? one : many}`;

export function bytes(value) {
  if (value === null || value === undefined) return 'unknown';
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const step = value < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(value) / 10));
  const scaled = value / 1024 ** step;
  return `${scaled.toFixed(step === 0 || scaled >= 100 ? 0 : 1)} ${units[step]}`;
}

export function duration(ms) {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`;
  const seconds = ms / 1_000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const [minutes, hours] = [Math.floor(seconds / 60), Math.floor(seconds / 3_600)];
  if (minutes < 60) return `${minutes} min ${String(Math.floor(seconds % 60)).padStart(2, '0')} s`;
  if (hours < 48) return `${hours} h ${String(minutes % 60).padStart(2, '0')} min`;
  return `${Math.round(hours / 24)} days`;
}

/** How far the coordinator's clock is ahead of this browser's, in ms. */
let aheadMs = 0;
export function noteServerTime(date) {
  const ms = Date.parse(date ?? '') - Date.now();
  // The header has whole seconds, so less than two says nothing.
  aheadMs = Number.isFinite(ms) && Math.abs(ms) > 2_000 ? ms : 0;
}
export const nowMs = () => Date.now() + aheadMs;

export const sinceMs = (iso) => Math.max(0, nowMs() - Date.parse(iso));

/** How long ago, with the full time as a tooltip. */
export function ago(iso) {
  const ms = sinceMs(iso);
  return h('time', { datetime: iso, title: new Date(iso).toLocaleString() }, ms < 2_000 ? 'now' : `${age(ms)} ago`);
}

/** One unit is enough for an age, and does not change each second for long. */
export function age(ms) {
  if (ms < 60_000) return `${Math.round(ms / 1_000)} s`;
  if (ms < 3_600_000) return `${Math.floor(ms / 60_000)} min`;
  if (ms < 172_800_000) return `${Math.floor(ms / 3_600_000)} h`;
  return `${Math.floor(ms / 86_400_000)} days`;
}

export const clock = (iso) =>
  new Date(iso).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });

/** A button that `page.js` acts upon. `disabled`: why it cannot be pressed, or null. */
export function button(action, words, { data = {}, kind = '', disabled = null, label = null } = {}) {
  const named = Object.entries(data).map(([name, value]) => [`data-${name}`, value]);
  return h(
    `button${kind === '' ? '' : `.${kind}`}`,
    {
      type: 'button',
      'data-do': action,
      disabled: disabled !== null,
      title: disabled,
      'aria-label': label,
      ...Object.fromEntries(named),
    },
    words,
  );
}

export const chip = (words, kind = '') => h(`span.chip${kind === '' ? '' : `.${kind}`}`, {}, words);

export const problemLine = (problem) => problem !== null && h('p.problem', {}, problem);

export function heading(id, words, ...beside) {
  return h('div.heading', {}, h('h2', { id }, words), ...beside);
}
