//! What a person chose for a new story beside its words, as it stands in the fields, and the settings
//! that it makes. What cannot be meant is thrown as a sentence.
import type {
  ApiError,
  Effort,
  EndpointSettings,
  RunLimits,
  RunSettings,
} from '../contract/contract';

/** What a run may spend, in the units that a person counts in. */
export type Limit = 'dollars' | 'minutes' | 'turns' | 'calls' | 'tokens';

/** Empty is the runtime's own. */
export interface Chosen {
  runtime: string | null;
  model: string;
  address: string;
  effort: Effort | '';
  /** A number, or nothing. */
  longest: string;
  organization: string;
  accountProject: string;
  /** One `Name: value` a line; they may hold secrets, so they are kept nowhere. */
  headers: string;
  limits: Record<Limit, string>;
  /** An agent with tools of its own is given Musher's besides. */
  engineTools: boolean;
}

export function none(runtime: string | null = null): Chosen {
  return {
    runtime,
    model: '',
    address: '',
    effort: '',
    longest: '',
    organization: '',
    accountProject: '',
    headers: '',
    limits: { dollars: '', minutes: '', turns: '', calls: '', tokens: '' },
    engineTools: false,
  };
}

/** For a runtime whose model is, or is not, reached over HTTP. */
export function settingsOf(chosen: Chosen, overHttp: boolean): Partial<RunSettings> {
  return {
    model: chosen.model.trim() || null,
    limits: limitsOf(chosen.limits),
    ...(chosen.engineTools && { engine_tools: true }),
    ...(overHttp && { endpoint: endpointOf(chosen) }),
  };
}

function endpointOf(chosen: Chosen): EndpointSettings {
  const longest = number(chosen.longest);
  return {
    base_url: tidy(chosen.address) || null,
    dialect: null,
    ...(chosen.effort && { effort: chosen.effort }),
    ...(longest !== null && { max_answer_tokens: longest }),
    ...carriedOf(chosen),
  };
}

/** What each request carries besides its words; a test of the place sends the same. */
export function carriedOf(
  chosen: Chosen,
): Pick<EndpointSettings, 'organization' | 'account_project' | 'headers'> {
  const { organization, accountProject, headers } = chosen;
  return {
    ...(organization.trim() && { organization: organization.trim() }),
    ...(accountProject.trim() && { account_project: accountProject.trim() }),
    ...(headers.trim() && { headers: headersOf(headers) }),
  };
}

/** A field that holds what cannot be meant. */
export type WishField = Limit | 'longest' | 'headers';
export type Faults = Partial<Record<WishField, string>>;

/** What is wrong, for each field by itself. */
export function faultsOf(chosen: Chosen, overHttp: boolean): Faults {
  const { limits, longest, headers } = chosen;
  const each: [WishField, () => unknown][] = [
    ...LIMITS.map((limit): [WishField, () => unknown] => [
      limit,
      () => number(limits[limit], PARTS[limit]),
    ]),
  ];
  if (overHttp)
    each.push(['longest', () => number(longest)], ['headers', () => headersOf(headers)]);
  return Object.fromEntries(each.flatMap(([field, read]) => fault(read, field)));
}

function fault(read: () => unknown, field: WishField): [WishField, string][] {
  try {
    read();
    return [];
  } catch (thrown) {
    return [[field, (thrown as ApiError).message]];
  }
}

/** How many of what the engine counts are one of what a person counts in. */
const PARTS: Record<Limit, number> = {
  dollars: 1_000_000,
  minutes: 60,
  turns: 1,
  calls: 1,
  tokens: 1,
};
const LIMITS = Object.keys(PARTS) as Limit[];

function limitsOf(limits: Chosen['limits']): RunLimits {
  const of = (limit: Limit) => number(limits[limit], PARTS[limit]);
  return {
    max_turns: of('turns'),
    max_tool_calls: of('calls'),
    max_tokens: of('tokens'),
    max_cost_microdollars: of('dollars'),
    max_seconds: of('minutes'),
  };
}

/** What a person typed, in the unit that the engine counts in; only what is counted in smaller ones
    may be broken. `1,000` is a thousand, `1,5` one and a half. */
function number(text: string, each = 1): number | null {
  const plain = text
    .replaceAll(/[\s_$]/g, '')
    .replaceAll(/,(?=\d{3}(?:\D|$))/g, '')
    .replace(',', '.');
  if (plain === '') return null;
  const counted = /^\d{1,9}(?:\.\d+)?$/.test(plain) ? Number(plain) * each : 0;
  const fits = each === 1 ? Number.isInteger(counted) : true;
  if (counted > 0 && fits) return Math.max(1, Math.round(counted));
  throw refusal(each === 1 ? 'A whole number above 0, or empty.' : 'A number above 0, or empty.');
}

function headersOf(text: string): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const line of text.split('\n').filter((one) => one.trim() !== '')) {
    const at = line.indexOf(':');
    // The line may be a secret, so it is not repeated.
    if (at < 1) throw refusal('Each line is a name, a colon and a value, or empty.');
    headers[line.slice(0, at).trim()] = line.slice(at + 1).trim();
  }
  return headers;
}

function refusal(message: string): ApiError {
  return { code: 'bad_request', message, hint: null };
}

/** One way to write an address, as the engine files its key. */
export function tidy(address: string): string {
  return address.trim().replace(/\/+$/, '');
}

export function isAddress(text: string): boolean {
  return /^https?:\/\/\S+$/.test(text.trim()) && URL.canParse(text.trim());
}
