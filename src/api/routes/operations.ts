import { Router } from 'express';
import type { OperationRecord } from '../../domain/cluster-state';
import type { OperationList, OperationView } from '../../wire/coordinator-api';
import { operationWorkflowId, parseOperationId } from '../../contract/ids';
import type { ApiDeps } from '../deps';
import { endedFromOutside, viewOfProgress, viewOfRecord } from '../views/operation';
import { ClientError } from '../../client/errors';
import { ApiError } from '../http/problem';
import { jsonBody, readIdempotencyKey } from '../http/requests';
import { methodNotAllowed } from '../http/routing';

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
      const operationId = requireOperationId(request.params['id']);
      const { id: callerId } = authenticator.authenticate(request, 'admin');
      const progress = await deps.client.cancelOperation(operationId, `cancelled over REST by ${callerId}`);
      response.json(viewOfProgress(progress, linkTo(deps, operationId)));
    })
    .all(methodNotAllowed('POST'));

  return router;
}

/** The ended ones as the cluster remembers them, the running one as it tells itself. */
async function listOperations(deps: ApiDeps): Promise<OperationList> {
  const { operations } = await deps.client.queryState();
  return { operations: await Promise.all(operations.map((record) => viewOfListed(deps, record))) };
}

async function viewOfListed(deps: ApiDeps, record: OperationRecord): Promise<OperationView> {
  const fromRecord = viewOfRecord(record, linkTo(deps, record.operationId));
  if (record.end !== null) return fromRecord;
  try {
    return await viewOfWorkflow(deps, record.operationId);
  } catch (error) {
    if (error instanceof ClientError) return fromRecord;
    throw error;
  }
}

async function showOperation(deps: ApiDeps, id: string): Promise<OperationView> {
  const operationId = requireOperationId(id);
  try {
    return await viewOfWorkflow(deps, operationId);
  } catch (error) {
    if (!(error instanceof ClientError)) throw error;
    // Its workflow is gone (retention) or cannot be asked (no worker). The cluster may remember it all the same.
    const record = await recordOf(deps, operationId);
    if (record === undefined) throw error;
    return viewOfRecord(record, linkTo(deps, operationId));
  }
}

async function recordOf(deps: ApiDeps, operationId: string): Promise<OperationRecord | undefined> {
  try {
    const { operations } = await deps.client.queryState();
    return operations.find((each) => each.operationId === operationId);
  } catch (error) {
    if (error instanceof ClientError) return undefined;
    throw error;
  }
}

/** A workflow that was ended from outside goes on telling that it runs: its last words are not the truth then. */
async function viewOfWorkflow(deps: ApiDeps, operationId: string): Promise<OperationView> {
  const [progress, execution] = await Promise.all([
    deps.client.queryProgress(operationId),
    deps.client.describeOperation(operationId),
  ]);
  const view = viewOfProgress(progress, linkTo(deps, operationId));
  if (view.status !== 'running' || execution.isRunning) return view;
  return endedFromOutside(view, execution, await recordOf(deps, operationId));
}

function requireOperationId(id: string): string {
  if (parseOperationId(id) !== null) return id;
  throw new ApiError('UnknownOperation', 'there is no such operation: GET /cluster/operations lists them');
}

function linkTo(deps: ApiDeps, operationId: string): string | null {
  const parsed = parseOperationId(operationId);
  if (deps.webUiUrl === null || parsed === null) return null;
  const workflowId = encodeURIComponent(operationWorkflowId(deps.cluster, parsed.kind, parsed.key));
  return `${deps.webUiUrl}/namespaces/${encodeURIComponent(deps.namespace)}/workflows/${workflowId}`;
}
