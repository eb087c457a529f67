// Keys and model servers, as a person without a keychain meets them.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { calling } from './model-server.mjs';
import { accessFaults, chooseModel, id, openAtlas, scenario, shoot } from './page.mjs';

const KEY = 'sk-canary-52d0aa9e31';

scenario('a key for a model server, a test of it, and a model for a story', async (scene) => {
  const { world } = scene;
  const server = await world.modelServer({
    key: KEY,
    models: [{ id: 'small-model', max_model_len: 8192 }, { id: 'large-model' }],
    answer: () => [{ content: 'Hello.' }, calling('report', { word: 'ready' })],
  });
  const { page } = await openAtlas(scene);
  await page.keyboard.press('Control+k');
  await id(page, 'palette-input').fill('models and keys');
  await page.keyboard.press('Enter');
  await id(page, 'other-address').fill(server.base);
  const place = page.locator(`[data-place="${server.base}"]`);
  await place.getByTestId('probe').click();
  await place.getByText('wants a key').waitFor();
  assert.equal(server.turns.length, 0);

  await place.getByTestId('key-field').fill(KEY);
  await place.getByTestId('key-save').click();
  await place.getByTestId('key-file').click();
  await place.getByText('A key, in a file that only you can read').waitFor();
  assert.ok(!(await page.content()).includes(KEY), 'the page has forgotten the key');
  assert.equal(statSync(join(world.data, 'keys.json')).mode & 0o777, 0o600);

  await place.getByTestId('probe').click();
  await place.getByText('takes the key; it lists 2 models.').waitFor();
  assert.equal(server.turns.length, 0, 'a test costs nothing');
  await place.getByTestId('round-trip').click();
  await place.getByText('small-model streams and calls tools.').waitFor();
  assert.equal(server.turns.length, 1);
  await shoot(page, 'models');
  assert.deepEqual(await accessFaults(page), []);

  await page.keyboard.press('Escape');
  await chooseModel(page, server, 'small-model');
  assert.equal(await id(page, 'listed').locator('option').count(), 2);
  await id(page, 'model-said').getByText('8.2 k tokens').waitFor();
  await shoot(page, 'model-of-a-story');
  assert.deepEqual(await accessFaults(page), []);

  const listed = await world.musher('keys', 'list');
  assert.ok(listed.includes(server.base) && !listed.includes(KEY), listed);
  assert.deepEqual(filesWith(world.data, KEY), ['keys.json']);
});

function filesWith(dir, text) {
  const all = readdirSync(dir, { recursive: true }).filter((name) => {
    const found = statSync(join(dir, name), { throwIfNoEntry: false });
    return found?.isFile() && readFileSync(join(dir, name)).includes(text);
  });
  return all.sort();
}
