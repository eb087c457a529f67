//! Which agent a story can go on with: what is there, and what the story had before.
import type { EndpointSettings, RunResumeParams, RuntimeInfo } from '../contract/contract';

export interface Agent {
  runtime: string;
  /** `null`: the runtime's default. */
  model: string | null;
  /** An address of the person's own; `null`: a program, or the provider itself. */
  place: EndpointSettings | null;
}

/** The providers as addresses: a story leaves an address of its own only for another one. The same as
    `Endpoint::default_base`. */
const PROVIDERS: Record<string, EndpointSettings> = {
  openai: { base_url: 'https://api.openai.com/v1', dialect: 'openai-responses' },
  gemini: {
    base_url: 'https://generativelanguage.googleapis.com/v1beta',
    dialect: 'gemini',
  },
};

/** Where a story's model is, without what is given for that story alone. */
export function placeOf(runtime: string, endpoint?: EndpointSettings): EndpointSettings | null {
  if (!endpoint?.base_url || endpoint.base_url === PROVIDERS[runtime]?.base_url) return null;
  const { headers, header_names, ...place } = endpoint;
  void [headers, header_names];
  return place;
}

export const sameAgent = (a: Agent, b: Agent) =>
  a.runtime === b.runtime && a.model === b.model && samePlace(a, b);

const samePlace = (a: Agent, b: Agent) =>
  (a.place?.base_url ?? null) === (b.place?.base_url ?? null);

/** What is known besides the runtimes. */
interface Known {
  /** What the story was begun or gone on with so far. */
  used: readonly Agent[];
  /** The models that the current address lists. */
  listed: readonly string[];
}

/** A live agent can take another model of its own place; a story that is over, any agent that is there
    and any that it had. */
export function agentsFor(
  runtimes: readonly RuntimeInfo[],
  current: Agent,
  live: boolean,
  { used, listed }: Known = { used: [], listed: [] },
): Agent[] {
  const own = runtimes.find((one) => one.name === current.runtime);
  if (!own) return [current];
  const here = (models: readonly (string | null)[]) =>
    models.map((model) => ({ ...current, model }));
  const near = current.place
    ? [current, ...here(listed)]
    : // Once the agent is gone, its default cannot be named apart from where its model is.
      [...here(live ? (own.models.length > 0 ? [null] : []) : [current.model])].concat(
        here([...own.models, ...listed]),
        current,
      );
  const before = used.filter(
    (one) =>
      runtimes.some(({ name }) => name === one.runtime) &&
      (!live || (one.runtime === current.runtime && samePlace(one, current))),
  );
  return distinct([...near, ...before, ...(live ? [] : offered(runtimes, current))]);
}

/** What could be begun anew: the agents that are there, and the provider of an address' runtime. */
function offered(runtimes: readonly RuntimeInfo[], current: Agent): Agent[] {
  return runtimes
    .filter((one) => one.found && (one.name !== current.runtime || current.place))
    .flatMap((one) => {
      // Its default can be asked for only together with another runtime.
      const first = one.name === current.runtime ? [] : [null];
      return [...first, ...one.models].map((model) => ({ runtime: one.name, model, place: null }));
    });
}

function distinct(agents: readonly Agent[]): Agent[] {
  return agents.filter((one, at) => agents.findIndex((other) => sameAgent(one, other)) === at);
}

type Change = Pick<RunResumeParams, 'runtime' | 'model' | 'endpoint'>;

/** What is asked for. Its own place is kept when only the model is another. */
export function changeTo(next: Agent, current: Agent): Change {
  const model = next.model === null ? {} : { model: next.model };
  const place = next.place && { endpoint: next.place };
  if (next.runtime !== current.runtime) return { runtime: next.runtime, ...model, ...place };
  if (samePlace(next, current)) return model;
  const provider = PROVIDERS[next.runtime];
  return { ...model, ...(place ?? (provider && { endpoint: provider })) };
}
