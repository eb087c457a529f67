// A server that was started again has another key: a page of the one before says so and is quiet.
import assert from 'node:assert/strict';
import { accessFaults, card, id, row, says, scenario, shoot } from './page.mjs';

const STEPS = { turns: [[{ tool: { tool: { run: { command: 'true', description: 'Waits' } } } }]] };

scenario('a page of an earlier server says so once and asks no more', async (stage) => {
  const { world, open, faults } = stage;
  const repository = await world.repository('atlas');
  const page = await open();
  await world.runScript(repository, STEPS, 'Wait for me');
  await row(page, 'waiting_permission').click();
  await card(page).waitFor();
  const port = new URL(world.url).port;
  await world.kill();
  await page.getByText('Musher does not answer.').first().waitFor();
  await world.serve(port);

  await id(page, 'broken').getByText('This address is from an earlier server.').waitFor();
  await page.getByText('Open the address that musher serve printed').waitFor();
  assert.equal(await page.getByText('earlier server').count(), 1, 'it is said once');
  assert.equal(await page.getByText('token').count(), 0, 'in words of a person');
  assert.equal(await page.getByRole('button', { name: 'Try again' }).count(), 0);
  const asked = [];
  page.on('request', (request) => asked.push(request.url()));
  page.on('websocket', (socket) => asked.push(socket.url()));
  // Longer than the longest pause between two attempts to reach a server.
  await page.waitForTimeout(6000);
  assert.deepEqual(asked, [], 'nothing is asked any more');
  faults.length = 0; // What it asked before it knew was refused.

  await page.goto(world.url);
  await card(page).waitFor();
  await id(page, 'allow').click();
  await card(page).waitFor({ state: 'detached' });
});

scenario('an address without its key says what is missing', async ({ world, open }) => {
  const page = await open({ at: (url) => new URL(url).origin });
  await id(page, 'broken').getByText('This address is not complete.').waitFor();
  await page.goto(world.url);
  await id(page, 'dropzone').waitFor();
});

const VALUE = 'canary-value-7f20c1';

scenario('values that were kept nowhere are asked for, and the story goes on', async (stage) => {
  const { world, open, faults } = stage;
  const repository = await world.repository('atlas');
  const settings = { runtime: 'demo', agent_name: 'coder-1', env: { ATLAS_TOKEN: VALUE } };
  const place = { kind: 'fresh', repository };
  settings.args = ['--demo-script', 'hello', '--demo-speed', 'fast'];
  await world.call('run_start', { prompt: 'Look at it', place, settings });
  await world.allDone();
  await world.kill();
  await world.serve();

  const page = await open();
  await row(page, 'done').click();
  await id(page, 'composer-input').fill('Go on with it');
  await page.keyboard.press('Enter');
  await id(page, 'values').getByText('1 value to give again').waitFor();
  await shoot(page, 'values');
  assert.deepEqual(await accessFaults(page), []);
  faults.length = 0; // The message was refused at first, as it has to be.
  await page.keyboard.type(VALUE);
  await page.keyboard.press('Enter');
  await id(page, 'values').waitFor({ state: 'detached' });
  await says(page, 'Go on with it');
  await world.allDone();
  assert.equal((await world.runs()).length, 2);
  assert.ok(!(await page.content()).includes(VALUE), 'the page has forgotten it');
});
