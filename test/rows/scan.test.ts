import { scanCut } from '../../src/rows/scan';
import type { Job, RowSource, ScanEvent } from '../../src/rows/ports';

/** A source that goes on for ever behind its cut, and says whether it was closed. */
function endlessSource(): { source: RowSource; isClosed: () => boolean } {
  let isClosed = false;
  async function* scan(): AsyncGenerator<ScanEvent> {
    try {
      yield { kind: 'started', stopMs: 1 };
      yield { kind: 'cut-ended' };
      for (;;)
        yield await Promise.resolve({
          kind: 'changed',
          collection: 'c',
          id: Buffer.from('a'),
          isDelete: false,
        } as const);
    } finally {
      isClosed = true;
    }
  }
  return { source: { kind: 'primary', url: 'http://shard', reason: '', scan }, isClosed: () => isClosed };
}

const job = { signal: new AbortController().signal, nowMs: Date.now } as unknown as Job;
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('scanCut', () => {
  it.each([0, 3])('lets the source close its call when it ends after %i changes', async (changes) => {
    const { source, isClosed } = endlessSource();
    const cut = await scanCut(source, job, () => undefined);
    for (let n = 0; n < changes; n++) expect((await cut.tail.next()).value).toMatchObject({ kind: 'changed' });
    expect(isClosed()).toBe(false);
    cut.end();
    await settled();
    expect(isClosed()).toBe(true);
  });

  it('lets the source close its call when what takes the rows fails', async () => {
    const { isClosed, source } = endlessSource();
    async function* scan(signal: AbortSignal): AsyncGenerator<ScanEvent> {
      yield { kind: 'rows', collection: 'c', rows: [] };
      yield* source.scan(signal) as AsyncGenerator<ScanEvent>;
    }
    let isOuterClosed = false;
    async function* watched(signal: AbortSignal): AsyncGenerator<ScanEvent> {
      try {
        yield* scan(signal);
      } finally {
        isOuterClosed = true;
      }
    }
    const take = (): Promise<void> => Promise.reject(new Error('disk full'));
    await expect(scanCut({ ...source, scan: watched }, job, take)).rejects.toThrow('disk full');
    expect({ isOuterClosed, isInnerClosed: isClosed() }).toEqual({ isOuterClosed: true, isInnerClosed: false });
  });
});
