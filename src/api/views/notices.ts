import type { ClusterNotice } from '../../domain/notices';
import type { NoticeList } from '../../wire/coordinator-api';
import { isoOf } from './times';

/** `GET /cluster/notices`, newest first. */
export function viewOfNotices(notices: readonly ClusterNotice[]): NoticeList {
  return {
    notices: notices.map(({ key, code, message, sinceMs, lastSeenMs, operationId }) => ({
      key,
      code,
      message,
      since: isoOf(sinceMs),
      last_seen: isoOf(lastSeenMs),
      operation_id: operationId,
    })),
  };
}
