/**
 * Mutants: the product with one decision broken. Each is one small change of one file's text, so it says exactly what
 * it breaks, and it fails loudly when that text has gone.
 */
import type { Mutant } from './load';

export const MUTANTS: readonly Mutant[] = [
  {
    name: 'routers are looked at before and after, not watched',
    file: 'domain/router-watch',
    from: 'const reasons = snapshot.routers.flatMap((router) => reasonsAgainst(router, judged));',
    to: "const reasons = snapshot.routers.filter(({ version }) => version !== question.version).map(() => 'it lags');",
  },
  {
    name: 'a broken watch is ignored',
    file: 'domain/router-watch',
    from: 'if (reasons.length === 0) return { unbroken: true };',
    to: 'if (reasons.length >= 0) return { unbroken: true };',
  },
  {
    name: 'no barrier for a follower',
    file: 'rows/remote/sources',
    from: 'if (await showsBarrier(client, barrier, ctx)) return',
    to: 'if (barrier !== null) return',
  },
  {
    name: 'a lost tail is taken for complete',
    file: 'rows/tail',
    from: 'return this.#isKept;',
    to: 'return true;',
  },
  {
    name: 'a cut-off bootstrap is accepted',
    file: 'rows/scan',
    from: '    await events.return?.(undefined);\n    throw error;',
    to: '    if (rowsRead >= 0) return { stopMs, atMs, rowsRead, tookMs: 0, tail: events, end };\n    throw error;',
  },
  {
    name: 'deletes without distrust',
    file: 'domain/row-decisions',
    from: 'return missing > Math.max(MISSING_ROWS_MAX, expected * MISSING_SHARE_MAX);',
    to: 'return missing < 0 && expected < 0;',
  },
  {
    name: 'an older epoch is accepted',
    file: 'domain/shard-identity',
    from: "return (seen.epoch ?? 0) < (expected.epoch ?? 0) ? 'ShardLostData' : 'same';",
    to: "return 'same';",
  },
  {
    name: 'the epoch is not raised',
    file: 'shards/http/shard-identity',
    from: 'if (seen?.epoch != null && seen.epoch >= epoch) return;',
    to: 'if (seen?.epoch != null) return;',
  },
  {
    name: 'late writes are not waited for',
    file: 'workflows/operation/waits',
    from: 'await this.until(this.state.lateWritesUntilMs,',
    to: 'await this.until(0,',
  },
  {
    name: 'a pass that wrote counts as clean',
    file: 'workflows/move/rows/reconcile',
    from: 'const isClean = pass.written === 0 &&',
    to: 'const isClean = pass.written >= 0 &&',
  },
  {
    name: 'no pause behind the copy',
    file: 'workflows/move/rows/reconcile',
    from: 'state.copiedAtMs + run.timings.inFlightMs,',
    to: 'state.copiedAtMs,',
  },
  {
    name: 'what receivers hold before the copy is not looked at',
    file: 'rows/jobs/copy',
    from: '  await spoolWhatReceiversHold(job, input, { parts, session });\n',
    to: '',
  },
  {
    name: 'an undo does not wait for writes under way',
    file: 'workflows/move/map-changes',
    from: 'await run.waits.until(nowMs() + run.timings.inFlightMs,',
    to: 'await run.waits.until(nowMs(),',
  },
  {
    name: 'a second drop takes its own deletes for those of clients',
    file: 'rows/jobs/drop-plan',
    from: 'this.#input.isWatchUnbroken || this.#isRepeat) return;',
    to: 'this.#input.isWatchUnbroken) return;',
  },
  {
    name: 'a lost proof is read as a row that no pass saw',
    file: 'rows/jobs/drop-look',
    from: "this.#session.isProof ? proofOf(proof, donor, owner) : 'lost'",
    to: 'proofOf(proof, donor, owner)',
  },
  {
    name: 'an undo keeps the claim on the joiner',
    file: 'workflows/identity/release',
    from: 'if (identity?.mayHaveClaimed !== true || shards.length === 0) return;',
    to: 'if (identity?.mayHaveClaimed !== undefined || shards.length === 0) return;',
  },
  {
    name: 'a cancel does not wait for a claim under way',
    file: 'workflows/operation/activity-profiles',
    from: "{ ...PREFLIGHT, cancellationType: 'WAIT_CANCELLATION_COMPLETED' }",
    to: '{ ...PREFLIGHT }',
  },
  {
    name: 'what a dead attempt wrote counts as known',
    file: 'rows/sessions',
    from: 'if (before !== this.#lastAttempt) this.#knowsAllWritten = false;',
    to: '',
  },
  {
    name: 'differences are mended at once, not after the settle time',
    file: 'rows/pairs',
    from: 'await scope.job.sleep(look === 0 ? scope.settleMs : scope.settleMs / LOOKS_MAX);',
    to: '',
  },
  {
    name: 'identities are not confirmed at the end of a pass',
    file: 'rows/jobs/compare',
    from: '      await confirmParties(this.#input, this.#parts);\n',
    to: '',
  },
  {
    name: 'a lagging router does not hold up the copy',
    file: 'workflows/operation/routers',
    from: 'if (lagging === null) return routersNote(context);\n  throw',
    to: 'if (run !== null) return routersNote(context);\n  throw',
  },
  {
    name: 'an attempt writes after its time',
    file: 'activities/frame/attempt',
    from: 'if (this.nowMs() < this.#mayWriteUntilMs) return;',
    to: 'if (this.nowMs() > 0) return;',
  },
  {
    name: 'a recovery does not wait for writes of the dead',
    file: 'workflows/recover',
    from: 'run.waits.expectLateWrites(shutOutAtMs + run.timings.attemptMs);',
    to: 'void shutOutAtMs;',
  },
  {
    name: 'what the tail tells is not compared',
    file: 'rows/jobs/compare',
    from: 'tail?.take() ?? new Map<string, Buffer[]>();',
    to: 'new Map<string, Buffer[]>();',
  },
  {
    name: 'a run of before the cut that is followed speaks for the donor',
    file: 'rows/sessions',
    from: 'return this.#asDonor.has(run);',
    to: 'return this.#tail !== null;',
  },
  {
    name: 'a dropped collection is as the runs say',
    file: 'rows/tail',
    from: 'return this.#dropped.has(collection);',
    to: 'return false;',
  },
  {
    name: 'every delete is taken for an own one',
    file: 'rows/tail',
    from: 'if (isDelete && this.#ownDeletes.get(collection)?.delete(key) === true) return;',
    to: 'if (isDelete) return;',
  },
  {
    name: 'a lost worker leaves its ids unknown, and no cut follows',
    file: 'workflows/move/rows/reconcile',
    from: 'if (result.needsCut) {',
    to: 'if (result.needsCut && pass.written < 0) {',
  },
  {
    name: 'the lock goes before the clean-up of an undo',
    file: 'domain/lock-transitions',
    from: "return { ...state, map, lock: { ...lock, stage: 'withdrawn' } };",
    to: "return { ...state, map: { ...map, version: map.version + 1 }, lock: { ...lock, stage: 'withdrawn' } };",
  },
  {
    name: 'what arrived before routers held the flipped map is late',
    file: 'rows/jobs/follow',
    from: "if (isDropped) return 'late';",
    to: "if (isDropped || nowMs > 0) return 'late';",
  },
  {
    name: 'own deletes in the tail keep a collection on the leaver',
    file: 'rows/jobs/drop-plan',
    from: 'some((id) => removed?.has(keyOf(id)) !== true)',
    to: 'some((id) => removed?.has(keyOf(id)) !== null)',
  },
];
