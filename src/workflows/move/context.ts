import type { CancellationScope } from '@temporalio/workflow';
import type { OperationRequest, OperationSettings } from '../../contract/requests';
import type { OperationRun } from '../operation/run';
import type { Script } from '../operation/script';
import type { MoveKind } from './placement';

/** What every step of a move works on. */
export interface MoveContext {
  readonly run: OperationRun;
  readonly kind: MoveKind;
  readonly routerUrls: readonly string[];
  readonly settings: Pick<OperationSettings, 'routersFailClosed' | 'scanStopMaxMs'>;
  readonly request: OperationRequest;
  /** What a cancel stops. Null in a recovery, which nobody cancels. */
  readonly forward: CancellationScope | null;
}

export type MoveScript = Script<MoveContext>;
