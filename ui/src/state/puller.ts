//! Pulls the events of one run while somebody looks at it: asks, hands the batch over, waits until
//! it was drawn, asks again. A slow page therefore asks less often and slows nobody.
import type { EventEnvelope } from '../contract/contract';
import { asApiError, type Host } from '../host';

const WAIT_MS = 25_000;
/** A full batch means that more lies there: no frame is waited for, so opening is quick. */
const MAX_BYTES = 4 * 1024 * 1024;
const QUICK_MS = 200;
const RETRY_MS = [500, 1000, 2000, 5000];

export interface PullerTarget {
  nextSeq(): number;
  take(events: readonly EventEnvelope[]): void;
  /** A sentence while the engine does not answer, null when it does again. */
  trouble(sentence: string | null): void;
  ended(): void;
}

export class Puller {
  private stopped = false;
  private asking = new AbortController();
  private readonly hidden = () => {
    if (document.hidden) this.asking.abort();
  };

  constructor(
    private host: Host,
    private run: string,
    private target: PullerTarget,
  ) {
    document.addEventListener('visibilitychange', this.hidden);
    void this.loop().finally(() => this.stop());
  }

  stop(): void {
    this.stopped = true;
    document.removeEventListener('visibilitychange', this.hidden);
    this.asking.abort();
  }

  private async loop(): Promise<void> {
    let failures = 0;
    while (!this.stopped) {
      this.asking = new AbortController();
      await inSight(this.asking.signal);
      if (this.stopped) return;
      try {
        const end = await this.once(failures === 0 ? WAIT_MS : 0);
        if (failures > 0) this.target.trouble(null);
        failures = 0;
        if (end) return;
      } catch (error) {
        if (this.stopped) return;
        if (this.asking.signal.aborted) continue;
        const { code, message } = asApiError(error);
        if (code === 'unauthorized') return this.target.trouble(message);
        this.target.trouble(`${message} Asking again.`);
        await pause(RETRY_MS[Math.min(failures, RETRY_MS.length - 1)] ?? 5000);
        failures += 1;
      }
    }
  }

  private async once(wait: number): Promise<boolean> {
    const from = this.target.nextSeq();
    const params = { run: this.run, from_seq: from, max_bytes: MAX_BYTES, wait_ms: wait };
    const asked = performance.now();
    const batch = await this.host.call('run_events', params, this.asking.signal);
    if (this.stopped) return true;
    this.target.take(batch.events);
    if (batch.end && this.target.nextSeq() >= batch.next_seq) {
      this.target.ended();
      return true;
    }
    if (batch.events.length > 0) await nextFrame();
    // An engine that does not wait must not be asked without a pause.
    else if (performance.now() - asked < QUICK_MS) await pause(QUICK_MS);
    return false;
  }
}

/** Waits until somebody can see the page, or nobody waits for that any more. */
function inSight(gone: AbortSignal): Promise<void> {
  if (!document.hidden) return Promise.resolve();
  return new Promise((resolve) => {
    const look = () => {
      if (document.hidden && !gone.aborted) return;
      document.removeEventListener('visibilitychange', look);
      gone.removeEventListener('abort', look);
      resolve();
    };
    document.addEventListener('visibilitychange', look);
    gone.addEventListener('abort', look);
  });
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function nextFrame(): Promise<void> {
  return new Promise((resolve) => requestAnimationFrame(() => resolve()));
}
