import { newLease, readLease, writeLease } from '../../../src/rows/thread/lease';

describe('the lease of a job in the thread', () => {
  it('carries over until when it may write, and its limits, as they are by now', () => {
    const lease = new Float64Array(newLease());
    const job = readLease(lease);
    writeLease(lease, { mayWriteUntilMs: () => 1_234.5 });
    expect(job.mayWriteUntilMs()).toBe(1_234.5);
    expect(job.limits()).toEqual({ maxBytesPerS: null, maxRowsPerS: null, deleteShare: null });
    const limits = { maxBytesPerS: 5e12, maxRowsPerS: 0.25, deleteShare: 0.1 };
    writeLease(lease, { mayWriteUntilMs: () => 2_000, limits: () => limits });
    expect(job.mayWriteUntilMs()).toBe(2_000);
    expect(job.limits()).toEqual(limits);
  });
});
