import { Router } from 'express';
import type { OperationRecord } from '../domain/cluster-state';
import type { OperationList, OperationView } from '../wire/coordinator-api';
import { growWorkflowId } from '../workflows/messages';
import type { ApiDeps } from './app';
import { correctByExecution, keyOfOperation, viewOfProgress, viewOfRecord } from './operation-view';
import { ApiError } from './problem';
import { jsonBody, readIdempotencyKey } from './requests';
import { methodNotAllowed } from './routing';

export function operationsRouter(deps: ApiDeps): Router {
  const router = Router({ strict: true, caseSensitive: true });
  const { authenticator } = deps;

  router
    .route('/cluster/operations')
    .get(authenticator.requires('read'), async (_request, response) => {
      response.json(await listOperations(deps));
    })
    .all(methodNotAllowed('GET', 'HEAD'));

  router
    .route('/cluster/operations/:id')
    .get(authenticator.requires('read'), async (request, response) => {
      response.json(await showOperation(deps, request.params['id']));
    })
    .all(methodNotAllowed('GET', 'HEAD'));

  router
    .route('/cluster/operations/:id/cancel')
    .post(authenticator.requires('admin'), ...jsonBody, async (request, response) => {
      readIdempotencyKey(request);
      const key = requireKey(request.params['id']);
      const { id: callerId } = authenticator.authenticate(request, 'admin');
      const progress = await deps.gateway.cancelOperation(key, `cancelled over REST by ${callerId}`);
      response.json(viewOfProgress(progress, linkTo(deps, key)));
    })
    .all(methodNotAllowed('POST'));

  return router;
}

/** The ended ones as the cluster remembers them, the running one as it tells itself. */
async function listOperations(deps: ApiDeps): Promise<OperationList> {
  const { operations } = await deps.gateway.queryState();
  return { operations: await Promise.all(operations.map((record) => viewOfListed(deps, record))) };
}

async function viewOfListed(deps: ApiDeps, record: OperationRecord): Promise<OperationView> {
  const key = keyOfOperation(record.operationId);
  const fromRecord = viewOfRecord(record, key === null ? null : linkTo(deps, key));
  if (record.end !== null || key === null) return fromRecord;
  try {
    return await viewOfWorkflow(deps, key);
  } catch (error) {
    if (error instanceof ApiError) return fromRecord;
    throw error;
  }
}

async function showOperation(deps: ApiDeps, operationId: string): Promise<OperationView> {
  const key = requireKey(operationId);
  try {
    return await viewOfWorkflow(deps, key);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    // Its workflow is gone (retention) or cannot be asked (no worker). The cluster may remember it all the same.
    const record = await recordOf(deps, operationId);
    if (record === undefined) throw error;
    return viewOfRecord(record, linkTo(deps, key));
  }
}

async function recordOf(deps: ApiDeps, operationId: string): Promise<OperationRecord | undefined> {
  try {
    const { operations } = await deps.gateway.queryState();
    return operations.find((each) => each.operationId === operationId);
  } catch (error) {
    if (error instanceof ApiError) return undefined;
    throw error;
  }
}

async function viewOfWorkflow(deps: ApiDeps, key: string): Promise<OperationView> {
  const [progress, execution] = await Promise.all([
    deps.gateway.queryProgress(key),
    deps.gateway.describeOperation(key),
  ]);
  return correctByExecution(viewOfProgress(progress, linkTo(deps, key)), execution);
}

function requireKey(operationId: string): string {
  const key = keyOfOperation(operationId);
  if (key === null)
    throw new ApiError('UnknownOperation', 'there is no such operation: GET /cluster/operations lists them');
  return key;
}

function linkTo(deps: ApiDeps, key: string): string | null {
  if (deps.webUiUrl === null) return null;
  const workflowId = encodeURIComponent(growWorkflowId(deps.cluster, key));
  return `${deps.webUiUrl}/namespaces/${encodeURIComponent(deps.namespace)}/workflows/${workflowId}`;
}
