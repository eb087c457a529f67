//! Folds the events of one run into items. What must hold:
//! - the same events give the same items however they are cut into batches;
//! - an event seen twice changes nothing; an event that skips a number is not taken (`gap`);
//! - an item that did not change keeps its identity, one that changed is a new object, so a view
//!   that compares by identity draws only what is new.
import type {
  AgentEvent,
  EventEnvelope,
  FileChange,
  SessionInfo,
  TokenUsage,
  ToolCall,
  ToolResult,
} from '../contract/contract';
import type {
  EndItem,
  Item,
  PermissionItem,
  QuestionItem,
  TextItem,
  SummaryItem,
  ThinkingItem,
  ToolItem,
} from './items';

/** An item and where it hangs: in the run's own list, or below the sub-agent's tool card. */
interface Node {
  item: Item;
  index: number;
  parent: Node | null;
}

export type Applied = 'nothing' | 'changed' | 'gap';
/** Where an event stands: the id of an item made of it alone, its time, its number. */
interface Seen {
  id: string;
  at: string;
  seq: number;
}
type Of<T extends AgentEvent['type']> = Extract<AgentEvent, { type: T }>;

export class Transcript {
  items: Item[] = [];
  /** The number of the next event that is taken. */
  nextSeq = 1;
  session: SessionInfo | null = null;
  usage: TokenUsage | null = null;
  context: { used: number; window: number } | null = null;
  /** What differs from the base; null until the run said it. */
  files: FileChange[] | null = null;

  /** The line that stands for a summary while its words come. */
  private summing: Node | null = null;
  private nodes = new Map<string, Node>();
  private fresh = new Set<Node>();
  private turnSince = '';
  /** Of the run at the end of its last turn. */
  private usedBefore: TokenUsage | null = null;

  /** Takes a batch. After it, `items` is a new array when anything in it changed. */
  apply(batch: readonly EventEnvelope[]): Applied {
    this.fresh.clear();
    let result: Applied = 'nothing';
    for (const envelope of batch) {
      if (envelope.seq < this.nextSeq) continue;
      if (envelope.seq > this.nextSeq) return 'gap';
      if (result === 'nothing') this.items = this.items.slice();
      result = 'changed';
      this.nextSeq = envelope.seq + 1;
      this.take(envelope);
    }
    return result;
  }

  /** Permissions and questions that wait for an answer, oldest first. */
  waiting(): (PermissionItem | QuestionItem)[] {
    return this.items.filter(
      (item): item is PermissionItem | QuestionItem =>
        (item.kind === 'permission' || item.kind === 'question') && !item.answer,
    );
  }

  private take({ seq, at, event }: EventEnvelope): void {
    if (this.turnSince === '') this.turnSince = at;
    const known = Object.hasOwn(this.takes, event.type);
    const take = this.takes[event.type] as (event: AgentEvent, seen: Seen) => void;
    const seen = { id: `${event.type}:${seq}`, at, seq };
    // A newer Musher's event: shown as it is.
    if (known) take(event, seen);
    else this.raw(String((event as { type?: unknown }).type ?? 'unknown'), event, seen);
  }

  /** What each event does; those that no item shows are named too, so that none is forgotten. */
  private readonly takes: { [T in AgentEvent['type']]?: (event: Of<T>, seen: Seen) => void } = {
    status: () => undefined,
    checkpoint: () => undefined,
    worktree: () => undefined,
    session: (event) => (this.session = event),
    changes: (event) => (this.files = event.files),
    usage: (event) => this.used(event),
    message: (event, seen) => this.message(event, seen),
    message_sent: ({ id }) =>
      this.change(`message:${id}`, (item) => item.kind === 'user' && (item.sent = true)),
    message_dropped: ({ id, why }) =>
      this.change(`message:${id}`, (item) => item.kind === 'user' && (item.dropped = why)),
    text: (event, { at }) => this.text(event, at),
    thinking: (event, { at }) => this.thinking(event, at),
    tool_call: (event, { at }) => this.toolCall(event, at),
    tool_result: (event, { at }) => this.toolResult(event, at),
    // What it says came as texts and calls already.
    model_step: () => undefined,
    tool_decision: ({ tool_call, verdict, reason }) =>
      this.change(`use:${tool_call}`, (item) => {
        const use = (item as ToolItem).uses.find((one) => one.call.id === tool_call);
        if (use) use.decision = { verdict, reason };
      }),
    instruction: ({ text }, seen) => this.told(`Musher told the agent: ${text}`, seen),
    summary: ({ text }, seen) => this.summary(text, seen),
    plan: (event, { at }) => this.steps(event, at),
    gate: (event, { at }) => this.gate(event, at),
    warning: (event, seen) => this.warned(event, seen),
    error: (event, seen) => this.failed(event, seen),
    notice: (event, { id, at }) => this.notice(event, id, at),
    rate_limit: (limit, { id, at }) =>
      limit.state !== 'allowed' && void this.add({ kind: 'limit', id, at, limit }),
    raw: ({ kind, value }, seen) => this.raw(kind, value, seen),
    permission_request: (request, { at }) =>
      void this.add({ kind: 'permission', id: `ask:${request.request}`, at, request }),
    permission_answer: (event, { at }) => this.answered(event, at),
    question: (question, { at }) =>
      void this.add({ kind: 'question', id: `ask:${question.request}`, at, question }),
    question_answer: ({ request, answers, by }) =>
      this.change(`ask:${request}`, (item) => {
        if (item.kind === 'question') item.answer = { answers, by };
      }),
    turn_ended: ({ ok, reason }, { id, at }) =>
      this.end({ kind: 'end', id, at, ok, reason, since: this.turnSince }),
    done: ({ outcome }, { id, at }) =>
      this.end({
        kind: 'end',
        id,
        at,
        ok: outcome.reason === 'completed',
        outcome,
        since: this.turnSince,
      }),
  };

  /** The provider's own word for a limit that is told already says nothing more. */
  private failed({ code, message, hint }: Of<'error'>, { id, at }: Seen): void {
    if (!(isUsedUp(this.lastBelow(null)?.item) && code.startsWith('rate_limit')))
      this.add({ kind: 'trouble', id, at, level: 'error', code, message, hint });
  }

  /** A use waited for its leave: what it took itself is counted from there on. */
  private answered({ request, decision, by, message }: Of<'permission_answer'>, at: string): void {
    let call: string | null | undefined;
    this.change(`ask:${request}`, (item) => {
      if (item.kind !== 'permission') return;
      item.answer = { decision, by, message };
      call = item.request.tool_call;
    });
    if (!call) return;
    this.change(`use:${call}`, (item) => {
      const use = (item as ToolItem).uses.find((one) => one.call.id === call);
      if (use && !use.endedAt) use.startedAt = at;
    });
  }

  private told(message: string, { id, at }: Seen): void {
    this.add({ kind: 'trouble', id, at, level: 'info', code: 'told', message });
  }

  /** It came as the model's words already: there it stands, once. */
  private summary(text: string, { id, at }: Seen): void {
    const item: SummaryItem = { kind: 'summary', id, at, text };
    const last = this.summing ?? this.lastNodes.get(null);
    const open = last?.item.kind === 'text' && last.item.open;
    const stands = open && (last.item as TextItem).text.trim() === text.trim();
    if (!last || (!this.summing && !stands)) return void this.add(item);
    this.summing = null;
    this.nodes.delete(last.item.id);
    this.nodes.set(id, last);
    this.items[last.index] = last.item = item;
  }

  private used(event: Of<'usage'>): void {
    this.usage = event.usage;
    if (event.context_used && event.context_window)
      this.context = { used: event.context_used, window: event.context_window };
  }

  private message({ id, text, delivery }: Of<'message'>, { at }: Seen): void {
    const sent = delivery === 'prompt';
    if (sent) this.turnSince = at;
    this.add({ kind: 'user', id: `message:${id}`, at, text, delivery, sent });
  }

  private text(event: Of<'text'>, at: string): void {
    if (this.summing && !event.parent) return;
    const id = `text:${event.block}`;
    const known = this.change(id, (item) => {
      const text = item as TextItem;
      text.text = event.delta ? text.text + event.text : event.text;
      text.open = event.delta === true;
    });
    if (known || event.text === '') return;
    this.add({ kind: 'text', id, at, text: event.text, open: event.delta === true }, event.parent);
  }

  private thinking(event: Of<'thinking'>, at: string): void {
    if (this.summing && !event.parent) return;
    const id = `thinking:${event.block}`;
    const known = this.change(id, (item) => {
      const thought = item as ThinkingItem;
      thought.text = event.delta ? thought.text + event.text : event.text;
      thought.open = event.delta === true;
      thought.endedAt = at;
      thought.redacted ||= event.redacted === true;
    });
    if (known) return;
    const redacted = event.redacted === true;
    this.add(
      {
        kind: 'thinking',
        id,
        at,
        text: event.text,
        redacted,
        open: event.delta === true,
        endedAt: at,
      },
      event.parent,
    );
  }

  private toolCall(event: Of<'tool_call'>, at: string): void {
    const call: ToolCall = event;
    const known = this.change(`use:${call.id}`, (item) => {
      const use = (item as ToolItem).uses.find((one) => one.call.id === call.id);
      if (use) use.call = call;
    });
    if (known) return;
    const before = this.lastBelow(call.parent);
    if (
      call.kind === 'read' &&
      before?.item.kind === 'tool' &&
      before.item.uses[0]?.call.kind === 'read'
    ) {
      (this.own(before) as ToolItem).uses.push({ call, startedAt: at });
      this.nodes.set(`use:${call.id}`, before);
      return;
    }
    const id = `tool:${call.id}`;
    const node = this.add(
      { kind: 'tool', id, at, uses: [{ call, startedAt: at }], children: [] },
      call.parent,
    );
    this.nodes.set(`use:${call.id}`, node);
  }

  private toolResult(event: Of<'tool_result'>, at: string): void {
    const result: ToolResult = event;
    const known = this.change(`use:${result.id}`, (item) => {
      const use = (item as ToolItem).uses.find((one) => one.call.id === result.id);
      if (use) Object.assign(use, { result, endedAt: at });
    });
    if (known) return;
    // A result whose call was never heard is shown all the same.
    const call: ToolCall = {
      id: result.id,
      name: 'Tool',
      kind: 'other',
      title: result.id,
      input: null,
    };
    const id = `tool:${result.id}`;
    const node = this.add(
      { kind: 'tool', id, at, uses: [{ call, result, startedAt: at, endedAt: at }], children: [] },
      result.parent,
    );
    this.nodes.set(`use:${result.id}`, node);
  }

  /** The list of steps is one card a turn that changes in place. */
  private steps(event: Of<'plan'>, at: string): void {
    const id = `steps:${this.turnSince}`;
    const known = this.change(
      id,
      (item) => item.kind === 'steps' && (item.entries = event.entries),
    );
    if (!known) this.add({ kind: 'steps', id, at, entries: event.entries });
  }

  private gate(event: Of<'gate'>, at: string): void {
    const id = `gate:${event.name}:${this.turnSince}`;
    const known = this.change(id, (item) => {
      if (item.kind === 'gate') Object.assign(item, { state: event.state, output: event.output });
    });
    if (!known)
      this.add({
        kind: 'gate',
        id,
        at,
        name: event.name,
        state: event.state,
        output: event.output,
      });
  }

  /** The next try of the same thing takes the place of the last: only its count differs. */
  private warned({ code, message }: Of<'warning'>, { id, at }: Seen): void {
    if (code === 'summing_up') {
      this.summing = this.add({ kind: 'trouble', id, at, level: 'info', code, message });
      return;
    }
    const last = this.lastBelow(null);
    const uncounted = (text: string) => text.replace(/\d+/g, '');
    if (
      last?.item.kind === 'trouble' &&
      code === 'retry' &&
      last.item.code === code &&
      uncounted(last.item.message) === uncounted(message)
    )
      Object.assign(this.own(last), { message });
    else this.add({ kind: 'trouble', id, at, level: 'warning', code, message });
  }

  private notice(event: Of<'notice'>, id: string, at: string): void {
    const line = { stream: event.stream, text: event.text };
    const last = this.lastBelow(null);
    if (last?.item.kind === 'notices') {
      const item = this.own(last);
      if (item.kind === 'notices') item.lines.push(line);
      return;
    }
    this.add({ kind: 'notices', id, at, lines: [line] });
  }

  private raw(kind: string, value: unknown, { seq, at }: Seen): void {
    const entry = { seq, kind, value };
    const last = this.lastBelow(null);
    if (last?.item.kind === 'raw') {
      const item = this.own(last);
      if (item.kind === 'raw') item.values.push(entry);
      return;
    }
    this.add({ kind: 'raw', id: `raw:${seq}`, at, values: [entry] });
  }

  /** The end of the run takes the place of the end of its last turn when nothing is between. */
  private end(item: EndItem): void {
    item.usage = this.usage ? usedSince(this.usage, this.usedBefore) : undefined;
    this.usedBefore = this.usage;
    this.turnSince = '';
    this.summing = null;
    const last = this.lastBelow(null);
    if (item.outcome && last?.item.kind === 'end' && !last.item.outcome) {
      const owned = this.own(last) as EndItem;
      Object.assign(owned, { outcome: item.outcome, ok: item.ok, at: item.at });
      return;
    }
    const { outcome } = item;
    if (outcome?.reason === 'rate_limited') item.told = isUsedUp(last?.item);
    else if (outcome && last?.item.kind === 'trouble') {
      const { message } = last.item;
      item.told = [
        'message' in outcome && outcome.message,
        'last_lines' in outcome && outcome.last_lines.join('\n'),
      ].includes(message);
    }
    this.add(item);
  }

  private nodeBelow(parent: string | null | undefined): Node | null {
    const node = parent ? this.nodes.get(`use:${parent}`) : undefined;
    return node?.item.kind === 'tool' ? node : null;
  }

  private lastNodes = new Map<Node | null, Node>();

  private lastBelow(parent: string | null | undefined): Node | undefined {
    return this.lastNodes.get(this.nodeBelow(parent));
  }

  private add(item: Item, below?: string | null): Node {
    const parent = this.nodeBelow(below);
    const list = parent ? (this.own(parent) as ToolItem).children : this.items;
    this.close(this.lastNodes.get(parent));
    const node: Node = { item, index: list.length, parent };
    list.push(item);
    this.nodes.set(item.id, node);
    this.lastNodes.set(parent, node);
    this.fresh.add(node);
    return node;
  }

  /** Thoughts that something follows are over, whether the runtime said so or not. */
  private close(node: Node | undefined): void {
    if (node?.item.kind === 'thinking' && node.item.open)
      (this.own(node) as ThinkingItem).open = false;
  }

  /** Runs `edit` on a copy that the views have not seen; false when there is no such item. */
  private change(key: string, edit: (item: Item) => unknown): boolean {
    const node = this.nodes.get(key);
    if (!node) return false;
    edit(this.own(node));
    return true;
  }

  private own(node: Node): Item {
    if (this.fresh.has(node)) return node.item;
    const copy = copyOf(node.item);
    const list = node.parent ? (this.own(node.parent) as ToolItem).children : this.items;
    list[node.index] = copy;
    node.item = copy;
    this.fresh.add(node);
    return copy;
  }
}

function isUsedUp(item: Item | undefined): boolean {
  return item?.kind === 'limit' && item.limit.state === 'rejected' && !item.limit.using_overage;
}

/** One level deep: its lists are new, so that pushing to them does not change what was drawn. */
function copyOf(item: Item): Item {
  switch (item.kind) {
    case 'tool':
      return {
        ...item,
        uses: item.uses.map((use) => ({ ...use })),
        children: item.children.slice(),
      };
    case 'notices':
      return { ...item, lines: item.lines.slice() };
    case 'raw':
      return { ...item, values: item.values.slice() };
    default:
      return { ...item };
  }
}

function usedSince(now: TokenUsage, before: TokenUsage | null): TokenUsage {
  if (!before) return now;
  return {
    input_tokens: now.input_tokens - before.input_tokens,
    output_tokens: now.output_tokens - before.output_tokens,
    cache_creation_input_tokens:
      now.cache_creation_input_tokens - before.cache_creation_input_tokens,
    cache_read_input_tokens: now.cache_read_input_tokens - before.cache_read_input_tokens,
    cost_microdollars: Math.max(0, now.cost_microdollars - before.cost_microdollars),
    cost_source: now.cost_source,
  };
}
