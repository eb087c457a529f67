// What a story may spend, and where its model is, as a person chooses them in New story.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { calling } from './model-server.mjs';
import {
  accessFaults,
  chooseModel,
  done,
  id,
  openAtlas,
  row,
  says,
  scenario,
  shoot,
} from './page.mjs';

/** 1,100 tokens, at the built-in prices of gpt-5 $0.00225. */
const USAGE = { prompt_tokens: 1000, completion_tokens: 100, total_tokens: 1100 };
/** The field, what stands in it, what the page says at the end, and the answers that are paid then. */
const LIMITS = [
  ['turns', '2', 'turns', 2],
  ['calls', '3', 'tool calls', 3],
  ['tokens', '4000', 'tokens', 4],
  ['dollars', '0.01', 'money', 5],
];

scenario('each limit of a new story ends it, and the page says which', async (scene) => {
  const { world, open } = scene;
  const server = await world.modelServer({ models: [{ id: 'gpt-5' }], answer: another });
  // A model of this machine costs nothing: this one is elsewhere, behind the proxy of the environment.
  await world.kill();
  Object.assign(world.env, { http_proxy: new URL(server.base).origin, no_proxy: '' });
  await world.serve();
  const { page } = await openAtlas({ world, open }, {}, { 'README.md': 'A line.\n'.repeat(100) });
  for (const [limit, value, words, answers] of LIMITS) {
    const before = server.turns.length;
    await chooseModel(page, { base: 'http://models.example/v1' }, 'gpt-5');
    await id(page, 'list-models').click();
    await id(page, 'model-said')
      .getByText('400 k tokens · $1.25 in, $10 out per million')
      .waitFor();
    await id(page, 'more-wishes').click();
    await id(page, `limit-${limit}`).fill(value);
    await id(page, 'more-wishes').click();
    await id(page, 'wished').getByText(`at most ${value} `).waitFor();
    await id(page, 'composer-input').fill(`Read on, ${words}`);
    await page.keyboard.press('Enter');
    await says(page, `It reached its limit of ${words}.`);
    await done(page);
    await id(page, 'continue').waitFor();
    await row(page, 'done').first().getByLabel('reached its limit').waitFor();
    assert.equal(server.turns.length - before, answers, `answers until the limit of ${words}`);
    const [run] = await world.runs();
    assert.equal(run.outcome.reason, 'limit_reached');
    if (limit === 'dollars') {
      await shoot(page, 'limit-reached');
      assert.deepEqual(await accessFaults(page), []);
    }
    await page.keyboard.press('Escape');
    await id(page, 'new-story').click();
  }
});

/** Never ends: reads another line each time, so that nobody thinks it goes round in circles. */
function another(turn) {
  const read = calling('read_file', { path: 'README.md', first_line: turn.number + 1, lines: 1 });
  return [read, { usage: USAGE }];
}

/** Speaks as the real one does, and notes what it was started with. */
const CLAUDE = `#!/bin/sh
[ "$1" = --version ] && echo "2.1.330 (Claude Code)" && exit
printf '%s\\n' "$@" > "$HOME/arguments"
exec "@demo-agent@" "$@"
`;

scenario("Claude Code with Musher's tools and a limit of turns", async ({ world, open }) => {
  world.program('claude', CLAUDE);
  const { page } = await openAtlas({ world, open });
  await id(page, 'runtime').selectOption('claude-code');
  await id(page, 'more-wishes').click();
  await id(page, 'engine-tools').check();
  await id(page, 'limit-turns').fill('3');
  assert.equal(await id(page, 'limit-tokens').count(), 0, 'it counts no tokens of its own loop');
  assert.deepEqual(await accessFaults(page), []);
  await shoot(page, 'new-story-tools');
  await id(page, 'more-wishes').click();
  await id(page, 'wished').getByText("at most 3 turns, with Musher's tools").waitFor();
  await id(page, 'composer-input').fill('Small steps [[script:steer times=20]]');
  await page.keyboard.press('Enter');
  await says(page, 'It reached its limit of turns.');
  await done(page);
  const given = readFileSync(join(world.home, 'arguments'), 'utf8').split('\n');
  const servers = JSON.parse(given[given.indexOf('--mcp-config') + 1]).mcpServers;
  assert.equal(servers.musher.args[0], 'mcp', 'the tool server is Musher itself');
  const [run] = await world.runs();
  const { story } = await world.call('run_get', { run: run.id });
  assert.equal(story.settings.engine_tools, true);
  assert.equal(story.settings.limits.max_turns, 3);
});

scenario('a model server of this machine is found, and a story uses it', async (scene) => {
  const { world } = scene;
  const server = await world.modelServer({
    models: [{ id: 'tiny-coder', max_model_len: 4096 }],
    answer: () => [{ content: 'Here I am, on your machine.' }],
    // Where such servers usually listen.
    ports: [11434, 1234, 8080, 9931, 8000],
  });
  const { page } = await openAtlas(scene);
  await id(page, 'runtime').selectOption('openai');
  await id(page, 'open-models').click();
  await id(page, 'look-local').click();
  const found = id(page, 'local').filter({ hasText: server.base });
  await found.getByText('4.1 k tokens · costs nothing').waitFor();
  assert.equal(server.turns.length, 0, 'to look costs nothing');
  assert.deepEqual(await accessFaults(page), []);
  await shoot(page, 'models-local');
  await found.getByRole('button', { name: 'Use tiny-coder' }).click();
  await id(page, 'models').waitFor({ state: 'detached' });
  assert.equal(await id(page, 'address').inputValue(), server.base);
  assert.equal(await id(page, 'model').inputValue(), 'tiny-coder');
  await id(page, 'composer-input').fill('Are you there?');
  await page.keyboard.press('Enter');
  await says(page, 'Here I am, on your machine.');
  await done(page);
  assert.equal(server.turns[0].body.model, 'tiny-coder');
});
