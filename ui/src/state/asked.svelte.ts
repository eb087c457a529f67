//! What a run waits for, for those who show runs without their conversation: read from its newest
//! events, and again when there are new ones.
import type { EventEnvelope, PermissionRequest, Question, RunSummary } from '../contract/contract';
import type { Host } from '../host';

export type Asked =
  { kind: 'permission'; request: PermissionRequest } | { kind: 'question'; question: Question };

/** A request that is older than this is answered in the conversation. */
const NEWEST = 400;

export class Asking {
  /** The oldest that is not answered. */
  first = $state.raw<Asked | null>(null);
  private seen = 0;

  constructor(private host: Host) {}

  async look(run: RunSummary): Promise<void> {
    if (run.last_seq === this.seen) return;
    const upTo = (this.seen = run.last_seq);
    const open = new Map<string, Asked>();
    let from = Math.max(1, upTo - NEWEST + 1);
    while (from <= upTo) {
      const batch = await this.host.call('run_events', { run: run.id, from_seq: from, wait_ms: 0 });
      // Another look began meanwhile: it knows more.
      if (this.seen !== upTo) return;
      for (const envelope of batch.events) take(open, envelope);
      if (batch.next_seq <= from) break;
      from = batch.next_seq;
    }
    this.first = [...open.values()][0] ?? null;
  }
}

function take(open: Map<string, Asked>, { event }: EventEnvelope): void {
  switch (event.type) {
    case 'permission_request':
      open.set(event.request, { kind: 'permission', request: event });
      break;
    case 'question':
      open.set(event.request, { kind: 'question', question: event });
      break;
    case 'permission_answer':
    case 'question_answer':
      open.delete(event.request);
  }
}
