import type { RequestHandler } from 'express';
import type { Authenticator } from './auth';
import { onceOver } from './request-trail';

interface Changing {
  readonly authenticator: Pick<Authenticator, 'authenticate'>;
  readonly mapReader: { changeBegins(): () => void };
}

/** Admits who may change the cluster. Who gets the answer to a change finds it in the map from then on. */
export function mayChange({ authenticator, mapReader }: Changing): RequestHandler {
  return (request, response, next) => {
    authenticator.authenticate(request, 'admin');
    onceOver(request, response, mapReader.changeBegins());
    next();
  };
}
