import { Router } from 'express';
import { DEFAULT_SCAN_STOP_MAX_MS } from '../../domain/limits';
import type { ApiDeps } from '../deps';
import { sharing } from '../events/shared-run';
import { methodNotAllowed } from '../http/routing';
import { viewOfDiagnosis } from '../views/diagnosis';

/** What the API and a worker see of Temporal and of the shards. Whoever asks at once shares one look: it asks every shard. */
export function doctorRouter({ authenticator, diagnosis, settings }: ApiDeps): Router {
  const router = Router({ strict: true, caseSensitive: true });
  const { scanStopMaxMs = DEFAULT_SCAN_STOP_MAX_MS } = settings;
  const examine = sharing(() => diagnosis.examine());

  router
    .route('/cluster/doctor')
    .get(authenticator.requires('read'), async (_request, response) => {
      response.set('Cache-Control', 'no-store').json(viewOfDiagnosis(await examine(), scanStopMaxMs));
    })
    .all(methodNotAllowed('GET', 'HEAD'));

  return router;
}
