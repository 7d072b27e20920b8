import type { RequestHandler } from 'express';
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
export function mayChange({ authenticator, mapReader, events }: Changing): RequestHandler {
  return (request, response, next) => {
    authenticator.authenticate(request, 'admin');
    const changeEnds = mapReader.changeBegins();
    onceOver(request, response, () => {
      changeEnds();
      events.nudge();
    });
    next();
  };
}
