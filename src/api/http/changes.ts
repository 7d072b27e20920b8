import type { RequestHandler } from 'express';
import type { Authenticator } from './auth';

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
    const { socket } = request;
    const changeEnds = mapReader.changeBegins();
    let isOver = false;
    // An answer that waits behind another one never closes when its connection breaks.
    const end = (): void => {
      response.off('close', end);
      socket.off('close', end);
      if (isOver) return;
      isOver = true;
      changeEnds();
      events.nudge();
    };
    response.once('close', end);
    socket.once('close', end);
    if (socket.destroyed) end();
    next();
  };
}
