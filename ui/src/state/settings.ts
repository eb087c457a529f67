//! What a run is started with when nothing was chosen: what the protocol calls its defaults.
import type { RunLimits, RunSettings } from '../contract/contract';

export const NO_LIMITS: RunLimits = {
  max_turns: null,
  max_tool_calls: null,
  max_tokens: null,
  max_cost_microdollars: null,
  max_seconds: null,
};

export function plainSettings(runtime: string, agent_name: string): RunSettings {
  return {
    runtime,
    agent_name,
    model: null,
    permission_mode: 'ask',
    answer: 'ask',
    command: null,
    args: [],
    transport: 'pty',
    limits: NO_LIMITS,
    inactivity_timeout_secs: 0,
    allowed_tools: [],
    disallowed_tools: [],
    append_system_prompt: null,
    mcp_config: null,
    endpoint: { base_url: null, dialect: null },
  };
}
