import { expect, it, vi } from 'vitest';
import type { EventBatch, EventEnvelope } from '../src/contract/contract';
import type { Host } from '../src/host';
import { Puller } from '../src/state/puller';
import { Transcript } from '../src/state/transcript';

const event = (seq: number): EventEnvelope => ({
  run: 'r',
  seq,
  at: '2026-01-01T00:00:00Z',
  event: { type: 'text', block: `b${seq}`, text: `${seq}` },
});
const batch = (seqs: number[], next_seq: number, end = false): EventBatch => ({
  events: seqs.map(event),
  next_seq,
  end,
});

/** A host that answers with these batches in turn; an error is thrown. */
function hostOf(replies: (EventBatch | Error)[]) {
  const asked: number[] = [];
  const call = (_: string, params: { from_seq: number }, gone?: AbortSignal) => {
    asked.push(params.from_seq);
    const reply = replies.shift();
    if (!reply)
      return new Promise((_, reject) => {
        gone?.addEventListener('abort', () => reject(new Error('Nobody waits.')));
      });
    return reply instanceof Error ? Promise.reject(reply) : Promise.resolve(reply);
  };
  return { host: { call } as unknown as Host, asked };
}

function pull(replies: (EventBatch | Error)[]) {
  const transcript = new Transcript();
  const troubles: (string | null)[] = [];
  const ended = vi.fn();
  const { host, asked } = hostOf(replies);
  const puller = new Puller(host, 'r', {
    nextSeq: () => transcript.nextSeq,
    take: (events) => transcript.apply(events),
    trouble: (sentence) => troubles.push(sentence),
    ended,
  });
  return { puller, transcript, troubles, ended, asked };
}

it('asks on from what it has until the end', async () => {
  const { transcript, ended, asked } = pull([batch([1, 2], 3), batch([3], 4, true)]);
  await vi.waitFor(() => expect(ended).toHaveBeenCalledOnce());
  expect(asked).toEqual([1, 3]);
  expect(transcript.items).toHaveLength(3);
});

it('asks again where a batch has a hole, and is not done before the hole is filled', async () => {
  const { transcript, ended, asked } = pull([batch([1, 3, 4], 5, true), batch([2, 3, 4], 5, true)]);
  await vi.waitFor(() => expect(ended).toHaveBeenCalledOnce());
  expect(asked).toEqual([1, 2]);
  expect(transcript.items).toHaveLength(4);
});

it('says what is wrong, tries again and takes it back', async () => {
  const { troubles, ended } = pull([new Error('Musher does not answer.'), batch([1], 2, true)]);
  await vi.waitFor(() => expect(ended).toHaveBeenCalledOnce(), 3000);
  expect(troubles).toEqual(['Musher does not answer. Asking again.', null]);
});

it('takes nothing more once it was stopped', async () => {
  const { puller, transcript, ended } = pull([batch([1], 2, true)]);
  puller.stop();
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect([transcript.items.length, ended.mock.calls.length]).toEqual([0, 0]);
});

/** As when another tab is chosen, or this one again. */
function show(visible: boolean) {
  vi.spyOn(document, 'hidden', 'get').mockReturnValue(!visible);
  document.dispatchEvent(new Event('visibilitychange'));
}

it('asks nothing while nobody sees the page, lets go of what waits, and goes on where it was', async () => {
  const replies = [batch([1], 2)];
  const { ended, asked, troubles } = pull(replies);
  await vi.waitFor(() => expect(asked).toEqual([1, 2]));
  replies.push(batch([2], 3, true));
  show(false);
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect([asked, troubles]).toEqual([[1, 2], []]);
  show(true);
  await vi.waitFor(() => expect(ended).toHaveBeenCalledOnce());
  expect(asked).toEqual([1, 2, 2]);
  vi.restoreAllMocks();
});

it('that is stopped out of sight stays stopped', async () => {
  show(false);
  const { puller, asked } = pull([batch([1], 2, true)]);
  puller.stop();
  show(true);
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(asked).toEqual([]);
  vi.restoreAllMocks();
});
