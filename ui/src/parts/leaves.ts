//! A tool's use and the leave that was asked for it are one thing to the reader: while it waits only
//! the card that asks is shown, afterwards only the tool's card, which says who gave the answer.
import type { Entry } from '../state/conversation.svelte';
import type { PermissionItem, ToolItem } from '../state/items';

export type Leave = NonNullable<PermissionItem['answer']> & {
  /** It was taken back, and by the person's stop. */
  stopped?: boolean;
};

const BY: Record<string, string> = {
  user: 'you',
  policy: 'its policy',
  rule: 'a rule of the project',
  expiry: 'expiry',
  unknown: 'Musher',
};

/** The answers that were given, by tool call. */
export function leavesOf(entries: readonly Entry[]): Map<string, Leave> {
  const leaves = new Map<string, Leave>();
  const stopped = new Set<string>();
  // From the end: whether a run was stopped is told after what it took back.
  for (const { item, run } of entries.toReversed()) {
    if (item.kind === 'end' && item.outcome?.reason === 'stopped') stopped.add(run);
    // It went on after that: what is further up was taken back by the agent itself.
    else if (item.kind === 'text' || item.kind === 'thinking') stopped.delete(run);
    if (item.kind !== 'permission' || !item.request.tool_call || !item.answer) continue;
    const { answer } = item;
    const byStop = answer.by === 'withdrawn' && stopped.has(run);
    leaves.set(item.request.tool_call, byStop ? { ...answer, stopped: true } : answer);
  }
  return leaves;
}

export function leaveWords(leave: Leave | undefined): string {
  if (!leave) return '';
  if (leave.by === 'withdrawn') return leave.stopped ? 'taken back by the stop' : 'taken back';
  return `${leave.decision === 'allow' ? 'allowed' : 'denied'} by ${BY[leave.by] ?? 'Musher'}`;
}

/** Whether another card tells it already: the card that asks, the line of what was answered, or the
    plan, which is what came of it. */
function isTold(item: ToolItem, waiting: Set<string>, questions: Set<string>): boolean {
  const [use, more] = item.uses;
  if (!use || more) return false;
  const told = use.call.kind === 'plan' || questions.has(use.call.id);
  return waiting.has(use.call.id) || (told && use.result?.is_error !== true);
}

export function rowsToShow(entries: readonly Entry[], showRaw: boolean): Entry[] {
  const calls = new Set<string>();
  const [waiting, questions] = [new Set<string>(), new Set<string>()];
  for (const { item } of entries) {
    if (item.kind === 'tool') for (const use of item.uses) calls.add(use.call.id);
    const ask =
      item.kind === 'permission'
        ? item.request.tool_call
        : item.kind === 'question'
          ? item.question.tool_call
          : null;
    if (ask && !(item as PermissionItem).answer) waiting.add(ask);
    if (ask && item.kind === 'question') questions.add(ask);
  }
  return entries.filter(({ item }) => {
    if (item.kind === 'raw') return showRaw;
    if (item.kind === 'tool') return !isTold(item, waiting, questions);
    if (item.kind === 'permission' && item.answer && !item.request.plan)
      return !calls.has(item.request.tool_call ?? '');
    return true;
  });
}
