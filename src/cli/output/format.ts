/** Numbers, times and texts as a person reads them. */

/** `1,234`; a dash for what is not known, which is never 0 (INV-8). */
export function count(value: number | null | undefined): string {
  return value === null || value === undefined ? '-' : Math.round(value).toLocaleString('en-US');
}

const BYTE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;

export function bytes(value: number | null | undefined): string {
  if (value === null || value === undefined) return '-';
  let amount = value;
  let unit = 0;
  while (amount >= 1_024 && unit < BYTE_UNITS.length - 1) {
    amount /= 1_024;
    unit += 1;
  }
  return `${unit === 0 || amount >= 100 ? Math.round(amount) : amount.toFixed(1)} ${BYTE_UNITS[unit] ?? 'B'}`;
}

/** Two units at most: `7s`, `3m 04s`, `2h 05m`, `3d 04h`. */
export function duration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return '-';
  const whole = Math.max(0, Math.round(seconds));
  const two = (value: number): string => String(value).padStart(2, '0');
  if (whole < 60) return `${whole}s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes}m ${two(whole % 60)}s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours}h ${two(minutes % 60)}m`;
  return `${Math.floor(hours / 24)}d ${two(hours % 24)}h`;
}

/** How long ago a time in RFC 3339 was; a dash for none. */
export function age(time: string | null, nowMs: number): string {
  return time === null ? '-' : duration((nowMs - Date.parse(time)) / 1_000);
}

/** What came from elsewhere may hold sequences that a terminal obeys. They are shown as `?`. */
export function plain(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, (each) => (each === '\n' ? ' ' : '?'));
}

/** One line of at most `width` characters. */
export function fitted(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`;
}
