import type { RequestHandler } from 'express';
import { ApiError } from './problem';

/** The last handler of every path: a request that comes here used a method that the path does not have. */
export function methodNotAllowed(...allowed: readonly string[]): RequestHandler {
  const allow = allowed.join(', ');
  return (request) => {
    throw new ApiError('MethodNotAllowed', `${request.method} is not possible here, ${allow} is`, {
      headers: { Allow: allow },
    });
  };
}

export const unknownRoute: RequestHandler = (request) => {
  throw new ApiError('UnknownRoute', `there is no ${request.path}: paths are exact, a slash at the end counts`);
};
