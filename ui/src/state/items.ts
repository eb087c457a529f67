//! What a transcript consists of for the reader: the events of a run, joined into things to look at.
import type {
  AnsweredBy,
  Delivery,
  PermissionDecision,
  PermissionRequest,
  PlanEntry,
  Question,
  RateLimit,
  RunOutcome,
  Stream,
  TokenUsage,
  ToolCall,
  ToolDecision,
  ToolResult,
} from '../contract/contract';

interface Common {
  /** Unique within the run and stable: the key of its row. */
  id: string;
  /** RFC 3339, of its first event. */
  at: string;
}

/** One use of a tool: its call and, later, what came of it. */
export interface ToolUse {
  call: ToolCall;
  result?: ToolResult;
  /** Why it was allowed, refused, or put before the person. */
  decision?: Pick<ToolDecision, 'verdict' | 'reason'>;
  startedAt: string;
  endedAt?: string;
}

export interface UserItem extends Common {
  kind: 'user';
  text: string;
  delivery: Delivery;
  sent: boolean;
  dropped?: string;
}
export interface TextItem extends Common {
  kind: 'text';
  text: string;
  /** Pieces of it may still come. */
  open: boolean;
}
export interface ThinkingItem extends Common {
  kind: 'thinking';
  text: string;
  redacted: boolean;
  open: boolean;
  endedAt: string;
}
/** What the model goes on with in place of the beginning, in its own words. */
export interface SummaryItem extends Common {
  kind: 'summary';
  text: string;
}
/** Tool uses shown as one card; more than one only for reads that follow each other. */
export interface ToolItem extends Common {
  kind: 'tool';
  uses: ToolUse[];
  /** What a sub-agent did. */
  children: Item[];
}
export interface PermissionItem extends Common {
  kind: 'permission';
  request: PermissionRequest;
  answer?: { decision: PermissionDecision; by: AnsweredBy; message?: string | null };
}
export interface QuestionItem extends Common {
  kind: 'question';
  question: Question;
  answer?: { answers: Record<string, string>; by: AnsweredBy };
}
export interface StepsItem extends Common {
  kind: 'steps';
  entries: PlanEntry[];
}
export interface TroubleItem extends Common {
  kind: 'trouble';
  level: 'info' | 'warning' | 'error';
  code: string;
  message: string;
  hint?: string | null;
}
export interface NoticesItem extends Common {
  kind: 'notices';
  lines: { stream: Stream; text: string }[];
}
export interface LimitItem extends Common {
  kind: 'limit';
  limit: RateLimit;
}
export interface GateItem extends Common {
  kind: 'gate';
  name: string;
  state: 'running' | 'passed' | 'failed';
  output?: string | null;
}
/** The end of a turn, or of the run when `outcome` is there. */
export interface EndItem extends Common {
  kind: 'end';
  ok: boolean;
  reason?: string | null;
  outcome?: RunOutcome;
  /** The error before it gives the reason already. */
  told?: boolean;
  /** Of the turn alone. */
  usage?: TokenUsage;
  /** Of the first event of the turn. */
  since: string;
}
export interface RawItem extends Common {
  kind: 'raw';
  values: { seq: number; kind: string; value: unknown }[];
}

export type Item =
  | UserItem
  | TextItem
  | ThinkingItem
  | SummaryItem
  | ToolItem
  | PermissionItem
  | QuestionItem
  | StepsItem
  | TroubleItem
  | NoticesItem
  | LimitItem
  | GateItem
  | EndItem
  | RawItem;
