import { Router } from 'express';
import { DEFAULT_SCAN_STOP_MAX_MS } from '../../domain/limits';
import type { ApiDeps } from '../deps';
import { sharing } from '../events/shared-run';
import { methodNotAllowed } from '../http/routing';
import { viewOfDiagnosis } from '../views/diagnosis';

type Diagnosis = Awaited<ReturnType<ApiDeps['diagnosis']['examine']>>;

/** A look asks every shard and starts a workflow, so one is good for all who ask within this time. */
const LOOK_LIFE_MS = 10_000;

/** What the API and a worker see of Temporal and of the shards. */
export function doctorRouter({ authenticator, diagnosis, settings }: ApiDeps): Router {
  const router = Router({ strict: true, caseSensitive: true });
  const { scanStopMaxMs = DEFAULT_SCAN_STOP_MAX_MS } = settings;
  const look = sharing(() => diagnosis.examine());
  let last: { readonly endedAtMs: number; readonly seen: Diagnosis } | null = null;
  const examine = async (): Promise<Diagnosis> => {
    if (last !== null && performance.now() - last.endedAtMs < LOOK_LIFE_MS) return last.seen;
    const seen = await look();
    last = { endedAtMs: performance.now(), seen };
    return seen;
  };

  router
    .route('/cluster/doctor')
    .get(authenticator.requires('read'), async (_request, response) => {
      response.set('Cache-Control', 'no-store').json(viewOfDiagnosis(await examine(), scanStopMaxMs));
    })
    .all(methodNotAllowed('GET', 'HEAD'));

  return router;
}
