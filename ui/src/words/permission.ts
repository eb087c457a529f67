//! What a permission is for, as a head.
import type { PermissionRequest } from '../contract/contract';

const HEADS: Record<string, string> = {
  run: 'Wants to run a command',
  edit: 'Wants to change a file',
  read: 'Wants to read',
  fetch: 'Wants to fetch from the network',
  search: 'Wants to search',
  agent: 'Wants to start a sub-agent',
};

export function headOf({ plan, kind, tool }: PermissionRequest): string {
  return plan ? 'Has a plan' : (HEADS[kind] ?? `Wants to use ${tool}`);
}
