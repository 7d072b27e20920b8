import type { NextFunction, Request, RequestHandler, Response } from 'express';
import type { Authenticator } from './auth';
import { onceOver } from './request-trail';

interface Changing {
  readonly authenticator: Pick<Authenticator, 'authenticate'>;
  readonly mapReader: { changeBegins(): () => void };
  readonly events: { nudge(): void };
}

/**
 * Admits who may change the cluster. Who gets the answer to a change finds it in the map from then on, and who
 * listens to events is told.
 */
export function mayChange(changing: Changing): RequestHandler {
  const { mapReader, events } = changing;
  return (request, response, next) => {
    if (request.query['dry_run'] === 'true') return admit(changing, { request, response, next });
    changing.authenticator.authenticate(request, 'admin');
    const changeEnds = mapReader.changeBegins();
    onceOver(request, response, () => {
      changeEnds();
      events.nudge();
    });
    next();
  };
}

/** The same for what leaves the map as it is: polls need not be read anew meanwhile. */
export function mayAdjust(changing: Omit<Changing, 'mapReader'>): RequestHandler {
  return (request, response, next) => admit(changing, { request, response, next });
}

function admit(
  { authenticator, events }: Omit<Changing, 'mapReader'>,
  { request, response, next }: { request: Request; response: Response; next: NextFunction },
): void {
  authenticator.authenticate(request, 'admin');
  onceOver(request, response, () => events.nudge());
  next();
}
