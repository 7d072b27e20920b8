/** The dialog that every change goes through: what it does in words, its fields, its plan where there is one, and the refusal. */
import { ask, freshKey } from './api.js';
import { bytes, count, duration, h, show } from './dom.js';

const of = (id) => document.getElementById(id);

let change = null;
let options = null;
let idempotencyKey = '';

/**
 * `change`: {title, go, words, path, method?, fields?, bodyOf?, kind?, canPlan?}. A press on `go` makes the call. `canPlan`: whether the
 * coordinator has plans.
 */
export function confirmChange(wanted, given) {
  change = wanted;
  options = given;
  // The same press that is repeated because its answer was lost must find the first one.
  idempotencyKey = freshKey();
  of('dialog-title').textContent = change.title;
  of('dialog-problem').textContent = '';
  const body = of('dialog-body');
  body.replaceChildren(...change.words.map((each) => h('p', {}, each)), ...(change.fields ?? []).map(field));
  of('dialog-go').textContent = change.go;
  of('dialog-go').className = change.kind === 'danger' ? 'primary danger' : 'primary';
  of('dialog-plan').hidden = !(options.canPlan && change.canPlan === true);
  setBusy(false);
  of('dialog').showModal();
  (body.querySelector('textarea, input') ?? of('dialog-back')).focus();
}

function field({ name, label, kind, value = '', placeholder = '', required = false }) {
  const id = `field-${name}`;
  if (kind === 'check') return h('label.beside', {}, h('input', { id, name, type: 'checkbox' }), label);
  const common = { id, name, placeholder, required, spellcheck: 'false', autocomplete: 'off' };
  const input =
    kind === 'lines'
      ? h('textarea', { ...common, required: true, rows: 3 }, value)
      : h('input', {
          ...common,
          type: kind === 'number' ? 'number' : 'text',
          min: kind === 'number' ? 1 : null,
          maxlength: kind === 'line' ? 200 : null,
        });
  return h('div', {}, h('label', { for: id }, label), input);
}

function readBody() {
  if (change.bodyOf === undefined) return undefined;
  const values = (change.fields ?? []).map(({ name, kind }) => [
    name,
    kind === 'check' ? of(`field-${name}`).checked : of(`field-${name}`).value,
  ]);
  return change.bodyOf(Object.fromEntries(values));
}

function setBusy(isBusy) {
  for (const id of ['dialog-go', 'dialog-plan']) of(id).disabled = isBusy;
  of('dialog').toggleAttribute('aria-busy', isBusy);
}

of('dialog-back').addEventListener('click', () => of('dialog').close());

of('dialog-form').addEventListener('submit', async (event) => {
  event.preventDefault();
  await attempt(async () => {
    await ask(change.path, { method: change.method ?? 'POST', body: readBody(), idempotencyKey });
    of('dialog').close();
    options.done(`${change.title}: accepted`);
  });
});

of('dialog-plan').addEventListener('click', () =>
  attempt(async () => {
    const plan = await ask(`${change.path}?dry_run=true`, {
      method: 'POST',
      body: readBody(),
      idempotencyKey: freshKey(),
    });
    of('dialog-body').querySelector('.plan')?.remove();
    of('dialog-body').append(planInWords(plan));
  }),
);

async function attempt(work) {
  of('dialog-problem').textContent = '';
  setBusy(true);
  try {
    await work();
  } catch (refusal) {
    // A refusal is remembered under its key; a lost answer must be found under it.
    if (refusal.status !== 0) idempotencyKey = freshKey();
    of('dialog-problem').textContent = refusal.message;
  } finally {
    setBusy(false);
  }
}

function planInWords({ would, refusal, steps = [], rows_to_move, bytes_to_move, duration_s, noticed_by = [] }) {
  const block = h('div.plan', { 'aria-live': 'polite' });
  const amount = rows_to_move === undefined ? null : `${count(rows_to_move)} points move (${bytes(bytes_to_move)})`;
  const time =
    duration_s == null
      ? null
      : `it takes ${duration(duration_s.least * 1_000)} to ${duration(duration_s.most * 1_000)} (${duration_s.basis})`;
  show(
    block,
    h('strong', {}, would === 'refuse' ? `It would be refused: ${refusal?.detail ?? ''}` : 'It would start.'),
    h('p', {}, [amount, time].filter((each) => each !== null).join('; ')),
    h(
      'ol',
      {},
      steps.map(({ phase, does }) => h('li', {}, h('strong', {}, phase), ` ${does}`)),
    ),
    noticed_by.length === 0 ? null : h('p', {}, `Noticed by: ${noticed_by.join(', ')}`),
  );
  return block;
}
