import { DomainError } from '../../../domain/errors';

export function unreadable(collection: string, url: string): DomainError {
  return new DomainError(
    'MultivectorCollection',
    `collection ${collection} holds documents of several vectors, which ${url} shows and takes over gRPC alone: let the coordinator reach its gRPC address, or empty the collection`,
  );
}
