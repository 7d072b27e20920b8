/**
 * The time of the workflow, in ms since the epoch: Temporal replaces `Date` in its sandbox with the time of the workflow task,
 * so a replay reads the same values. The one place in this folder that may ask.
 */
export function nowMs(): number {
  // eslint-disable-next-line no-restricted-properties -- see above
  return Date.now();
}
