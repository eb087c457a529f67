// Generated from crates/protocol by `cargo xtask generate`. Do not edit.

import type {
  AppInfo,
  DiffParams,
  DoctorReport,
  Empty,
  EventBatch,
  OpenParams,
  PageLogParams,
  PathParams,
  PickedFolders,
  ProjectParams,
  RuleParams,
  RunAnswerParams,
  RunDetail,
  RunEventsParams,
  RunParams,
  RunResumeParams,
  RunSendParams,
  RunSetModeParams,
  RunSetModelParams,
  RunStartParams,
  TrustParams,
  TrustSetParams,
  WorktreeParams,
  WorktreeRemoveParams,
} from './commands';
import type {
  BaseChoice,
  FileDiff,
  FolderReport,
  RemovalReport,
  Worktree,
  WorktreeChanges,
} from './folder';
import type {
  Project,
  ProjectRule,
  RunSummary,
  TrustReport,
} from './model';
import type {
  EndpointProbeParams,
  EndpointReport,
  KeptKey,
  KeyPlaceParams,
  KeyRemoved,
  KeySetParams,
  LocalEndpoint,
} from './models';

export interface Commands {
  app_info: { params: Empty; reply: AppInfo };
  doctor: { params: Empty; reply: DoctorReport };
  folder_inspect: { params: PathParams; reply: FolderReport };
  folder_pick: { params: Empty; reply: PickedFolders };
  open_external: { params: OpenParams; reply: Empty };
  project_add: { params: PathParams; reply: Project };
  project_list: { params: Empty; reply: Project[] };
  project_remove: { params: ProjectParams; reply: Empty };
  project_bases: { params: ProjectParams; reply: BaseChoice[] };
  project_worktrees: { params: ProjectParams; reply: Worktree[] };
  trust_get: { params: TrustParams; reply: TrustReport };
  trust_set: { params: TrustSetParams; reply: TrustReport };
  rule_list: { params: ProjectParams; reply: ProjectRule[] };
  rule_add: { params: RuleParams; reply: ProjectRule[] };
  rule_remove: { params: RuleParams; reply: ProjectRule[] };
  worktree_changes: { params: WorktreeParams; reply: WorktreeChanges };
  worktree_diff: { params: DiffParams; reply: FileDiff };
  worktree_remove: { params: WorktreeRemoveParams; reply: RemovalReport };
  run_start: { params: RunStartParams; reply: RunSummary };
  run_list: { params: Empty; reply: RunSummary[] };
  run_get: { params: RunParams; reply: RunDetail };
  run_events: { params: RunEventsParams; reply: EventBatch };
  run_send: { params: RunSendParams; reply: RunSummary };
  run_answer: { params: RunAnswerParams; reply: Empty };
  run_interrupt: { params: RunParams; reply: Empty };
  run_stop: { params: RunParams; reply: RunSummary };
  run_stop_all: { params: Empty; reply: Empty };
  run_resume: { params: RunResumeParams; reply: RunSummary };
  run_set_model: { params: RunSetModelParams; reply: Empty };
  run_set_permission_mode: { params: RunSetModeParams; reply: Empty };
  run_mark_read: { params: RunParams; reply: Empty };
  key_list: { params: Empty; reply: KeptKey[] };
  key_set: { params: KeySetParams; reply: KeptKey };
  key_remove: { params: KeyPlaceParams; reply: KeyRemoved };
  endpoint_probe: { params: EndpointProbeParams; reply: EndpointReport };
  find_local_endpoints: { params: Empty; reply: LocalEndpoint[] };
  page_log: { params: PageLogParams; reply: Empty };
}

export type CommandName = keyof Commands;

export const COMMAND_NAMES: readonly CommandName[] = [
  'app_info',
  'doctor',
  'folder_inspect',
  'folder_pick',
  'open_external',
  'project_add',
  'project_list',
  'project_remove',
  'project_bases',
  'project_worktrees',
  'trust_get',
  'trust_set',
  'rule_list',
  'rule_add',
  'rule_remove',
  'worktree_changes',
  'worktree_diff',
  'worktree_remove',
  'run_start',
  'run_list',
  'run_get',
  'run_events',
  'run_send',
  'run_answer',
  'run_interrupt',
  'run_stop',
  'run_stop_all',
  'run_resume',
  'run_set_model',
  'run_set_permission_mode',
  'run_mark_read',
  'key_list',
  'key_set',
  'key_remove',
  'endpoint_probe',
  'find_local_endpoints',
  'page_log',
];
