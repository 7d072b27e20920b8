/**
 * Every change of the commands that a workflow of an earlier build may have in its history, and why it was made. A patch
 * may go when no operation of a build without it can run any more: operations are pinned to their build where Worker
 * Versioning is on, and end within days where it is not.
 */
export const PATCHES = {
  /**
   * 0.3: an operation also continues as new between two phases and in its undo. Before, it did so in its loops alone,
   * and a history could grow without a bound.
   */
  checkpointsBetweenPhases: 'checkpoints-between-phases',
  /**
   * 0.3: before a step that failed is tried again, behind the flip and in an undo, the operation asks the cluster for the
   * addresses of its shards. Before, it waited for a dead address for ever.
   */
  renewedAddresses: 'renewed-addresses',
  /**
   * 0.3: once a grow has asked its shards whose they are, it records their epochs, looks at everything and plans its scans
   * at once. Before, it did so one after the other, and the caller of the grow waited for each.
   */
  preflightSideBySide: 'preflight-side-by-side',
  /**
   * 0.3: the list of routers is state of the cluster. An operation learns at its start, and before each wait for routers,
   * whether there are any. Before, it believed the setting of the API that started it, and a router that was gone for
   * good held it up for ever.
   */
  routersAreState: 'routers-are-state',
  /**
   * 0.3: where the drop of one donor begins later than the others, the watch over the routers is read again before it.
   * Before, a donor was judged by a reading that was as old as the drops before it, which may be slowed down to hours.
   */
  watchBeforeEachDrop: 'watch-before-each-drop',
  /**
   * 0.3: an operation learns of the limits of its cluster from the answers to its transitions, and may stand still because
   * of them. Answers that an earlier build recorded may hold limits that it did not keep to.
   */
  limitsOfCluster: 'limits-of-cluster',
} as const;
