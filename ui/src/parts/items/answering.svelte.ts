//! One answer to one request: sent once, and what went wrong is said at the card.
import type { Answer } from '../../contract/contract';
import { asApiError } from '../../host';
import type { AppState } from '../../state/app.svelte';

/** A key that was meant for what was there before must not answer what just appeared. */
export const SETTLE_MS = 400;

export class Answering {
  sending = $state(false);
  trouble = $state<string | null>(null);
  private readonly shownAt = performance.now();

  constructor(
    private app: AppState,
    private run: string,
    private request: string,
  ) {}

  async send(answer: Answer, byKey = false): Promise<void> {
    if (this.sending || (byKey && performance.now() - this.shownAt < SETTLE_MS)) return;
    this.sending = true;
    this.trouble = null;
    try {
      await this.app.host.call('run_answer', { run: this.run, request: this.request, answer });
    } catch (thrown) {
      const error = asApiError(thrown);
      // It has its answer already, from elsewhere or from a rule: the event that says so is on its way.
      if (error.code === 'conflict') return;
      this.trouble = [error.message, error.hint].filter(Boolean).join(' ');
      this.sending = false;
    }
  }
}
