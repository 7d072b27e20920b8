/** A stand-in for a grow that is long enough to continue as new: its update is answered in the first run only. */
import { allHandlersFinished, condition, continueAsNew, setHandler } from '@temporalio/workflow';
import { announcedQuery, announcedUpdate, type GrowInput } from '../../src/contract/messages';

export async function grow(input: GrowInput): Promise<void> {
  const answer = { map: { version: 1, shards: [], joining: [], leaving: [] }, shardIds: [1], request: input.request };
  setHandler(announcedQuery, () => ({ answer, refusal: null }));
  if (input.carried !== undefined) return;
  let isAnswered = false;
  setHandler(announcedUpdate, () => {
    isAnswered = true;
    return answer;
  });
  await condition(() => isAnswered && allHandlersFinished());
  await continueAsNew<typeof grow>({ ...input, carried: {} as NonNullable<GrowInput['carried']> });
}
