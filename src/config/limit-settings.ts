import { integer } from './setting';

const RATE_BOUNDS = { min: 0, max: 1_000_000_000_000 };
const TIME_OF_DAY = /^(?:[01]\d|2[0-3]):[0-5]\d$/;

/** What the limits of a cluster are until somebody has set them by hand. Named as the fields of `PUT /cluster/limits`. */
export const LIMIT_SETTINGS = {
  COORDINATOR_LIMITS_MAX_BYTES_PER_S: integer({
    group: 'limits',
    meaning: 'The bytes of rows that an operation may write to their owners in a second, where 0 means no limit.',
    default: 0,
    bounds: RATE_BOUNDS,
    unit: 'bytes',
  }),
  COORDINATOR_LIMITS_MAX_ROWS_PER_S: integer({
    group: 'limits',
    meaning: 'The rows that an operation may write to their owners in a second, where 0 means no limit.',
    default: 0,
    bounds: RATE_BOUNDS,
    unit: 'rows',
  }),
  COORDINATOR_LIMITS_DELETE_SHARE: {
    group: 'limits',
    meaning: 'The share of the time that deletes of an operation may take on a shard.',
    expected: 'a number above 0 and up to 1',
    advice: 'give for instance 0.2, or leave it out for no limit',
    default: null,
  },
  COORDINATOR_LIMITS_ACTIVE_FROM: {
    group: 'limits',
    meaning: 'When operations begin to work each day, in UTC, where `COORDINATOR_LIMITS_ACTIVE_TO` says the end.',
    expected: 'HH:MM in UTC',
    advice: 'give both times, for instance 22:00 and 05:30, or neither',
    default: null,
    pattern: TIME_OF_DAY,
  },
  COORDINATOR_LIMITS_ACTIVE_TO: {
    group: 'limits',
    meaning: 'When operations cease to work each day, in UTC, which may be after midnight.',
    expected: 'HH:MM in UTC, another time than COORDINATOR_LIMITS_ACTIVE_FROM',
    advice: 'give both times, for instance 22:00 and 05:30, or neither',
    default: null,
    pattern: TIME_OF_DAY,
  },
} as const;
