// Generated from crates/protocol by `cargo xtask generate`. Do not edit.


/**
 * What is asked about the place where a runtime's models are.
 */
export type EndpointProbeParams = { runtime: string, 
/**
 * Its provider's when absent.
 */
base_url?: string, dialect?: string, 
/**
 * Whom the round trip asks; the runtime's default, or the first that is listed, when absent.
 */
model?: string, 
/**
 * Also sends a tiny request with one tool. It costs what such a request costs.
 */
round_trip?: boolean, 
/**
 * As a run has them: sent with each request, and kept nowhere.
 */
headers?: { [key in string]: string }, organization?: string, account_project?: string, };

export type EndpointReport = { 
/**
 * A model server was asked and answered, be it with a refusal.
 */
reachable: boolean, 
/**
 * What was found, one sentence.
 */
sentence: string, 
/**
 * The next step when it is not well.
 */
hint: string | null, key: KeyState, 
/**
 * Those with a known price first, otherwise as they were listed.
 */
models: Array<ListedModel>, 
/**
 * Of a round trip: its answer came piece by piece. `None`: nobody asked, or nothing came.
 */
streaming: boolean | null, 
/**
 * Of a round trip: the model called the tool that it was told to call.
 */
tool_calls: boolean | null, };

/**
 * Where a key was put.
 */
export type KeptIn = "keychain" | "file";

/**
 * That there is a key, never the key.
 */
export type KeptKey = { place: string, kept: KeptIn, };

export type KeyPlaceParams = { place: string, };

export type KeyRemoved = { 
/**
 * There was one.
 */
was: boolean, };

/**
 * It cannot be written, neither as JSON nor as `Debug`: a key goes in and never comes out.
 */
export type KeySetParams = { 
/**
 * `openai`, `gemini`, or the address of an endpoint.
 */
place: string, key: string, 
/**
 * The person's consent to a file that only they can read, where no keychain answers.
 */
file?: boolean, };

export type KeyState = "known" | "missing" | "refused" | "not_needed";

/**
 * A model as its endpoint lists it. What is not known is absent, never zero.
 */
export type ListedModel = { name: string, 
/**
 * Tokens it can hold.
 */
context: number | null, 
/**
 * Micro-dollars for a million tokens.
 */
input_price: number | null, output_price: number | null, };

/**
 * A model server of this machine.
 */
export type LocalEndpoint = { 
/**
 * What usually listens there: `Ollama`.
 */
name: string, 
/**
 * The runtime that speaks to it.
 */
runtime: string, base_url: string, models: Array<ListedModel>, };
