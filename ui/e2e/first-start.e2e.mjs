// The first minutes of a person who has just installed Musher.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { accessFaults, card, done, id, pressUntil, row, says, scenario, shoot } from './page.mjs';

scenario('the demo, from the empty window to its diff', async ({ world, open }) => {
  const page = await open();
  await page.getByRole('heading', { name: 'Drop a repository here' }).waitFor();
  await page.getByText('Claude Code', { exact: true }).waitFor();
  await page.getByText(/not found\. ./).waitFor();
  await page.getByText(/built in/).waitFor();
  await shoot(page, 'first-start');
  assert.deepEqual(await accessFaults(page), []);

  await id(page, 'try-demo').click();
  await says(page, /I play a script, no model answers/);
  await says(page, 'Here is my plan.');
  await shoot(page, 'running');
  await page.getByText('Written by Musher').first().waitFor();

  await card(page).waitFor();
  const command = (await card(page).locator('pre').first().innerText()).trim();
  const [, folder] = /^sh (.+)\/greet\.sh$/.exec(command) ?? [];
  assert.ok(folder, `the card shows the whole command: ${command}`);
  await shoot(page, 'permission');
  assert.deepEqual(await accessFaults(page), []);

  await pressUntil(page, 'a', card(page));
  await says(page, 'Hello, everybody. Your agents are ready.');
  await done(page);
  await row(page, 'done').getByLabel('ready for review').waitFor();

  const script = page.locator(`[data-testid="changed-file"][data-path="${folder}/greet.sh"]`);
  await page.locator(`[data-testid="changed-file"][data-path="${folder}/README.md"]`).waitFor();
  await script.click();
  await id(page, 'diff').getByText('Hello, $name. Your agents are ready.').waitFor();
  await shoot(page, 'finished');
  assert.deepEqual(await accessFaults(page), []);

  const [ended] = await world.runs();
  assert.equal(ended.outcome.reason, 'completed');
  assert.match(readFileSync(join(ended.worktree, folder, 'greet.sh'), 'utf8'), /agents are ready/);
  const demo = join(world.data, 'demo', folder);
  assert.ok(!existsSync(demo), 'the main checkout is as it was');
});
