// A model server as the tests script it: as much of OpenAI's Chat Completions as an agent over HTTP
// asks for. It refuses whoever has not its key, lists its models, and answers each turn as told.
import { createServer } from 'node:http';

/** A piece of an answer that calls a tool. */
export function calling(name, args, index = 0) {
  const call = { name, arguments: JSON.stringify(args) };
  const id = `call_${Math.random().toString(36).slice(2)}`;
  return { tool_calls: [{ index, id, type: 'function', function: call }] };
}

/** The turn answers what a tool said. */
export const afterTool = (turn) => turn.body.messages.at(-1).role === 'tool';

/**
 * `answer(turn)` gives the pieces of an answer, all at once or one after the other; what has a
 * `status` is sent in place of one.
 */
export async function modelServer({ key, models = [], answer, ports = [0] }) {
  const turns = [];
  const waits = [];
  const server = createServer(async (request, response) => {
    const text = await textOf(request);
    if (key && request.headers.authorization !== `Bearer ${key}`)
      return json(response, 401, { error: { message: 'No key.', code: 'invalid_api_key' } });
    if (request.method === 'GET') return json(response, 200, { object: 'list', data: models });
    const turn = { headers: request.headers, body: JSON.parse(text), number: turns.length };
    turns.push(turn);
    waits.splice(0).forEach((wake) => wake());
    const said = await answer(turn);
    if (said.status) return json(response, said.status, said.body, said.headers);
    await stream(response, said, turn.body.model);
  });
  await listen(server, ports);
  return {
    base: `http://127.0.0.1:${server.address().port}/v1`,
    turns,
    /** Waits for so many turns. */
    async asked(count) {
      while (turns.length < count) await new Promise((wake) => waits.push(wake));
    },
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** At the first of these ports that nobody has; 0 is any. */
async function listen(server, [port, ...others]) {
  const taken = await new Promise((done) => {
    server.once('error', done);
    server.listen(port, '127.0.0.1', () => done(null));
  });
  if (taken && others.length === 0) throw taken;
  if (taken) await listen(server, others);
}

async function textOf(request) {
  let text = '';
  for await (const bytes of request) text += bytes;
  return text;
}

function json(response, status, body, headers = {}) {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(body));
}

async function stream(response, pieces, model) {
  response.writeHead(200, { 'content-type': 'text/event-stream', connection: 'close' });
  const say = (part) =>
    response.write(
      `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', model, ...part })}\n\n`,
    );
  let finish_reason = 'stop';
  for await (const { usage, ...delta } of pieces) {
    if (delta.tool_calls) finish_reason = 'tool_calls';
    if (usage) say({ choices: [], usage });
    else say({ choices: [{ index: 0, delta, finish_reason: null }] });
  }
  say({ choices: [{ index: 0, delta: {}, finish_reason }] });
  response.end('data: [DONE]\n\n');
}
