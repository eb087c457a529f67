//! Which agent a story can go on with.
import type { RunResumeParams, RuntimeInfo } from '../contract/contract';

export interface Agent {
  runtime: string;
  /** `null`: the runtime's default. */
  model: string | null;
}

/** A live agent can take another model of its own; a story that is over, any agent that is there. */
export function agentsFor(
  runtimes: readonly RuntimeInfo[],
  current: Agent,
  live: boolean,
): Agent[] {
  const own = runtimes.find((one) => one.name === current.runtime);
  const of = (one: RuntimeInfo, models: (string | null)[]) =>
    [...new Set(models)].map((model) => ({ runtime: one.name, model }));
  const others = live ? [] : runtimes.filter((one) => one.found && one !== own);
  const mine = own
    ? of(own, [
        // Once the agent is gone, its default cannot be named apart from where its model is.
        ...(live ? (own.models.length > 0 ? [null] : []) : [current.model]),
        ...own.models,
        current.model,
      ])
    : [current];
  return [...mine, ...others.flatMap((one) => of(one, [null, ...one.models]))];
}

/** What is asked for. Its own place is kept when only the model is another. */
export function changeTo(next: Agent, current: Agent): Pick<RunResumeParams, 'runtime' | 'model'> {
  const model = next.model === null ? {} : { model: next.model };
  return next.runtime === current.runtime ? model : { runtime: next.runtime, ...model };
}
