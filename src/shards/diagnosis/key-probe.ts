/**
 * What a shard lets our key do. No call tells that, so calls are made that need a role. They name a collection that nobody has, so they
 * change nothing. A shard looks at the key before it looks for the collection.
 */
import { randomBytes } from 'node:crypto';
import type { SeenKey } from '../../domain/diagnosis';
import type { CallContext } from '../http/call-timer';
import { paths } from '../http/paths';
import type { ShardHttp, ShardRequest } from '../http/shard-http';
import { ShardError } from '../errors';

/** Of the role, and what the shard says to a key without it. */
type Allowed = { readonly isAllowed: boolean } | { readonly unknown: ShardError };

/** Rejects only with the reason of the signal in `ctx`. */
export async function probeKey(http: ShardHttp, ctx: CallContext): Promise<SeenKey> {
  // As isInternalCollection has it, so that one which a fault leaves behind is no data.
  const name = `coordinator-probe-${randomBytes(8).toString('hex')}`;
  const reads = await ask(http, { method: 'GET', path: paths.collection(name) }, ctx);
  if ('unknown' in reads) {
    const { code, message } = reads.unknown;
    return code === 'Unauthorized'
      ? { role: 'refused', isScoped: null, problem: message }
      : { role: null, isScoped: null, problem: message };
  }
  // Every role may read. So it is the collection that this key may not see.
  if (!reads.isAllowed) return { role: null, isScoped: true, problem: null };
  const remove: ShardRequest = { method: 'DELETE', path: paths.points(name), body: '{"ids":[]}', isWrite: true };
  const writes = await ask(http, remove, ctx);
  if ('unknown' in writes) return { role: null, isScoped: false, problem: writes.unknown.message };
  if (!writes.isAllowed) return { role: 'read', isScoped: false, problem: null };
  const drops = await ask(http, { method: 'DELETE', path: paths.collection(name), isWrite: true }, ctx);
  if ('unknown' in drops) return { role: null, isScoped: false, problem: drops.unknown.message };
  return { role: drops.isAllowed ? 'admin' : 'write', isScoped: false, problem: null };
}

async function ask(http: ShardHttp, request: ShardRequest, ctx: CallContext): Promise<Allowed> {
  for (let turn = 1; ; turn++) {
    const answer = await askOnce(http, request, ctx);
    // The other side may have closed a kept-alive connection since its last use. A new one tells what is true.
    if (turn === 2 || !('unknown' in answer) || answer.unknown.code !== 'Unreachable') return answer;
  }
}

async function askOnce(http: ShardHttp, request: ShardRequest, ctx: CallContext): Promise<Allowed> {
  try {
    await http.readAnswer(request, ctx);
    return { isAllowed: true };
  } catch (error) {
    if (!(error instanceof ShardError)) throw error;
    if (error.code === 'NotFound') return { isAllowed: true };
    return error.code === 'Forbidden' ? { isAllowed: false } : { unknown: error };
  }
}
