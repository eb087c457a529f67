// Keys and model servers, as a person without a keychain meets them.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { accessFaults, addRepository, id, scenario, shoot } from './page.mjs';

const KEY = 'sk-canary-52d0aa9e31';

scenario('a key for a model server, a test of it, and a model for a story', async (scene) => {
  const { world, open } = scene;
  const repository = await world.repository('atlas');
  const server = await modelServer();
  try {
    const page = await open();
    await addRepository(page, repository);
    await page.keyboard.press('Control+k');
    await id(page, 'palette-input').fill('models and keys');
    await page.keyboard.press('Enter');
    await id(page, 'other-address').fill(server.base);
    const place = page.locator(`[data-place="${server.base}"]`);
    await place.getByTestId('probe').click();
    await place.getByText('wants a key').waitFor();
    assert.equal(server.turns, 0);

    await place.getByTestId('key-field').fill(KEY);
    await place.getByTestId('key-save').click();
    await place.getByTestId('key-file').click();
    await place.getByText('A key, in a file that only you can read').waitFor();
    assert.ok(!(await page.content()).includes(KEY), 'the page has forgotten the key');
    assert.equal(statSync(join(world.data, 'keys.json')).mode & 0o777, 0o600);

    await place.getByTestId('probe').click();
    await place.getByText('takes the key; it lists 2 models.').waitFor();
    assert.equal(server.turns, 0, 'a test costs nothing');
    await place.getByTestId('round-trip').click();
    await place.getByText('small-model streams and calls tools.').waitFor();
    assert.equal(server.turns, 1);
    await shoot(page, 'models');
    assert.deepEqual(await accessFaults(page), []);

    await page.keyboard.press('Escape');
    await id(page, 'runtime').selectOption('openai');
    await id(page, 'address').fill(server.base);
    const offered = await id(page, 'listed').locator('option').all();
    assert.equal(offered.length, 2);
    await id(page, 'model').fill('small-model');
    await page.getByText('8.2 k tokens').waitFor();
    await shoot(page, 'model-of-a-story');
    assert.deepEqual(await accessFaults(page), []);

    const listed = await world.musher('keys', 'list');
    assert.ok(listed.includes(server.base) && !listed.includes(KEY), listed);
    assert.deepEqual(filesWith(world.data, KEY), ['keys.json']);
  } finally {
    server.close();
  }
});

/** Speaks as much Chat Completions as the test of an endpoint needs. */
async function modelServer() {
  const state = { turns: 0 };
  const server = createServer((request, response) => {
    const json = (status, body) => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(body));
    };
    request.resume();
    if (request.headers.authorization !== `Bearer ${KEY}`)
      return json(401, { error: { message: 'No key.', code: 'invalid_api_key' } });
    if (request.url === '/v1/models')
      return json(200, {
        object: 'list',
        data: [{ id: 'small-model', max_model_len: 8192 }, { id: 'large-model' }],
      });
    state.turns += 1;
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    for (const one of SAID) response.write(`data: ${JSON.stringify(one)}\n\n`);
    return response.end('data: [DONE]\n\n');
  });
  await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
  const base = `http://127.0.0.1:${server.address().port}/v1`;
  return Object.assign(state, { base, close: () => server.close() });
}

const call = { name: 'report', arguments: '{"word":"ready"}' };
const SAID = [
  { choices: [{ index: 0, delta: { role: 'assistant', content: 'Hello.' } }] },
  {
    choices: [
      {
        index: 0,
        delta: { tool_calls: [{ index: 0, id: 'c1', type: 'function', function: call }] },
      },
    ],
  },
  { choices: [{ index: 0, delta: {}, finish_reason: 'tool_calls' }] },
];

function filesWith(dir, text) {
  const all = readdirSync(dir, { recursive: true }).filter((name) => {
    const found = statSync(join(dir, name), { throwIfNoEntry: false });
    return found?.isFile() && readFileSync(join(dir, name)).includes(text);
  });
  return all.sort();
}
