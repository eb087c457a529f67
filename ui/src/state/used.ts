//! The agents that each story had, as far as this page saw them: the engine keeps a story's present one
//! only, and summaries name no address. Addresses and names, never what opens them.
import { sameAgent, type Agent } from './agents';

const KEY = 'musher.used';
/** The stories that are remembered, the latest. */
const STORIES = 100;
const AGENTS = 12;

type Used = [story: string, agents: Agent[]][];

export function usedBy(story: string): Agent[] {
  return kept().find(([known]) => known === story)?.[1] ?? [];
}

/** The agents of the story from now on. */
export function remember(story: string, agent: Agent): Agent[] {
  const before = usedBy(story);
  if (before.some((one) => sameAgent(one, agent))) return before;
  const agents = [...before, agent].slice(-AGENTS);
  const rest = kept().filter(([known]) => known !== story);
  try {
    localStorage.setItem(KEY, JSON.stringify([...rest, [story, agents]].slice(-STORIES)));
  } catch {
    // Full or forbidden: they are known until the page is opened anew.
  }
  return agents;
}

function kept(): Used {
  try {
    const read = JSON.parse(localStorage.getItem(KEY) ?? '[]') as unknown;
    return Array.isArray(read) ? (read as Used) : [];
  } catch {
    return [];
  }
}
