/**
 * Has a worker look at everything once, for `GET /cluster/doctor`. It changes nothing. A crash costs nothing: somebody asks again, and
 * it ends with the call that it answers. It lives some seconds, so no later build replays one.
 */
import { proxyActivities, workflowInfo } from '@temporalio/workflow';
import type { DiagnosisActivities } from '../../contract/activities';
import type { DiagnosisInput, DiagnosisResult } from '../../contract/messages';
import { clockSkewMs } from '../../domain/late-writes';
import { nowMs } from '../clock';

/** What was not answered in time is a finding too, so nothing is tried twice. */
const { examineWorker, examineShards } = proxyActivities<DiagnosisActivities>({
  startToCloseTimeout: '12s',
  retry: { maximumAttempts: 1 },
});

export async function diagnose(input: DiagnosisInput): Promise<DiagnosisResult> {
  const { startTime } = workflowInfo();
  const [{ worker, workerSkewMs }, shards] = await Promise.all([lookAtWorker(), examineShards(input)]);
  return { ...shards, worker, workerSkewMs, startedAtMs: startTime.getTime() };
}

/** Its clock is compared as soon as it has told it. */
async function lookAtWorker(): Promise<Pick<DiagnosisResult, 'worker' | 'workerSkewMs'>> {
  const worker = await examineWorker({});
  return { worker, workerSkewMs: clockSkewMs(worker.told, nowMs()) ?? 0 };
}
