//! Model servers of the fake host.
import type {
  EndpointProbeParams,
  EndpointReport,
  ListedModel,
  LocalEndpoint,
} from '../../contract/contract';

const PRICED: ListedModel[] = [
  { name: 'gpt-5.4', context: 400_000, input_price: 2_500_000, output_price: 15_000_000 },
  { name: 'gpt-5.4-nano', context: 400_000, input_price: 200_000, output_price: 1_250_000 },
  { name: 'o9-preview', context: null, input_price: null, output_price: null },
];
const FREE: ListedModel[] = [
  { name: 'qwen3-coder:30b', context: 262_144, input_price: 0, output_price: 0 },
  { name: 'gpt-oss:20b', context: 131_072, input_price: 0, output_price: 0 },
];

export const LOCAL: LocalEndpoint[] = [
  { name: 'Ollama', runtime: 'openai', base_url: 'http://127.0.0.1:11434/v1', models: FREE },
  { name: 'llama.cpp', runtime: 'openai', base_url: 'http://127.0.0.1:8080/v1', models: [] },
];

const WELL: EndpointReport = {
  reachable: true,
  sentence: '',
  hint: null,
  key: 'known',
  models: [],
  streaming: null,
  tool_calls: null,
};

/** A local server answers; OpenAI does; Gemini refuses its key; anything else is not there. */
export function probed({ runtime, base_url, round_trip }: EndpointProbeParams): EndpointReport {
  const local = LOCAL.find((one) => one.base_url === base_url);
  if (base_url && !local)
    return {
      ...WELL,
      reachable: false,
      sentence: `${base_url} cannot be reached: Connection refused (os error 111).`,
      hint: 'Look at the address and at your connection.',
      key: 'not_needed',
    };
  if (runtime === 'gemini')
    return {
      ...WELL,
      sentence: 'Gemini refuses the key: API key not valid. Please pass a valid API key.',
      hint: 'Paste the key again.',
      key: 'refused',
    };
  const models = local ? local.models : PRICED;
  const name = local ? `${local.base_url} answers` : 'OpenAI answers and takes the key';
  const trip = round_trip ? ` ${models[0]?.name} streams and calls tools.` : '';
  return {
    ...WELL,
    sentence: `${name}; it lists ${models.length} models.${trip}`,
    key: local ? 'not_needed' : 'known',
    models,
    streaming: round_trip ? true : null,
    tool_calls: round_trip ? true : null,
  };
}
