/** A reader of server-sent events, as a browser is one: it keeps the id of the last event. */
import { waitFor } from './wait-for';

export interface SeenEvent {
  readonly id: string;
  readonly event: string;
  readonly data: Record<string, unknown>;
}

export class EventReader {
  readonly seen: SeenEvent[] = [];
  readonly comments: string[] = [];
  /** Set when the stream has ended, by whichever side. */
  hasEnded = false;
  status = 0;
  headers = new Headers();
  private readonly abort = new AbortController();

  /** Resolves when the head of the answer is there. */
  static async open(url: string, { key, lastId }: { key: string | null; lastId?: string }): Promise<EventReader> {
    const reader = new EventReader();
    const response = await fetch(url, {
      headers: {
        ...(key === null ? {} : { Authorization: `Bearer ${key}` }),
        ...(lastId === undefined ? {} : { 'Last-Event-ID': lastId }),
      },
      signal: reader.abort.signal,
    });
    reader.status = response.status;
    reader.headers = response.headers;
    void reader.read(response).catch(() => (reader.hasEnded = true));
    return reader;
  }

  get lastId(): string {
    return this.seen.at(-1)?.id ?? '';
  }

  of(event: string): Record<string, unknown>[] {
    return this.seen.filter((each) => each.event === event).map(({ data }) => data);
  }

  /** Waits for an event of this name, and returns the data of the first that fits. */
  async next(event: string, fits: (data: Record<string, unknown>) => boolean = () => true, timeoutMs?: number) {
    return waitFor(`an event ${event}`, () => this.of(event).find(fits), timeoutMs);
  }

  ended(): Promise<true> {
    return waitFor('the stream ends', () => this.hasEnded);
  }

  close(): void {
    this.abort.abort();
  }

  private async read(response: Response): Promise<void> {
    let text = '';
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? []) {
      text += decoder.decode(chunk as Uint8Array, { stream: true });
      const parts = text.split('\n\n');
      text = parts.pop() ?? '';
      for (const part of parts) this.take(part);
    }
    this.hasEnded = true;
  }

  private take(part: string): void {
    if (part.startsWith(':')) {
      this.comments.push(part.slice(1).trim());
      return;
    }
    const fields = new Map(
      part.split('\n').map((line) => [line.split(': ', 1)[0], line.slice(line.indexOf(': ') + 2)]),
    );
    const data = fields.get('data');
    if (data === undefined) return;
    this.seen.push({ id: fields.get('id') ?? '', event: fields.get('event') ?? '', data: JSON.parse(data) });
  }
}
