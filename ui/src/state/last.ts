//! The agent that the last story was started with, for the next one: names and an address, never what
//! opens it. Kept by the browser for this address.
import type { RuntimeInfo } from '../contract/contract';
import { none, tidy, type Chosen } from './chosen';

const KEY = 'musher.last-agent';

export function rememberLast(runtime: string, { model, address }: Chosen): void {
  // The demo is what is offered where there is nothing else.
  if (runtime === 'demo' || !isPlain(address)) return;
  const last = { runtime, model: model.trim(), address: tidy(address) };
  try {
    localStorage.setItem(KEY, JSON.stringify(last));
  } catch {
    // Full or forbidden: the next story is chosen anew.
  }
}

/** What the next story begins with: the last agent, if it is there. */
export function lastAgent(runtimes: readonly RuntimeInfo[]): Chosen {
  const last = kept();
  const runtime = runtimes.find((one) => one.name === last?.runtime);
  if (!last || !runtime || !(runtime.found || (runtime.over_http && last.address))) return none();
  const fits = runtime.over_http || runtime.models.includes(last.model);
  return {
    ...none(runtime.name),
    model: fits ? last.model : '',
    address: runtime.over_http ? last.address : '',
  };
}

function kept(): (Pick<Chosen, 'model' | 'address'> & { runtime: string }) | null {
  try {
    const read = JSON.parse(localStorage.getItem(KEY) ?? 'null') as Record<string, unknown> | null;
    const { runtime, model, address } = read ?? {};
    return typeof runtime === 'string' && typeof model === 'string' && typeof address === 'string'
      ? { runtime, model, address }
      : null;
  } catch {
    return null;
  }
}

/** An address may carry a password or a key; such a one is not kept. */
function isPlain(address: string): boolean {
  return !/[@?#]/.test(address);
}
