// A project's rules as a person makes them: by hand, and from a permission that is asked.
import assert from 'node:assert/strict';
import { afterTool, calling } from './model-server.mjs';
import { accessFaults, card, chooseModel, done, id, openAtlas, scenario, shoot } from './page.mjs';

const TOKEN = 'canary-gateway-83b1';

scenario('a rule of a project is made, holds in its next run, and is taken away', async (scene) => {
  const { world } = scene;
  const server = await world.modelServer({ answer: status });
  const { page, repository } = await openAtlas(scene);
  await chooseModel(page, server, 'scripted');
  await id(page, 'more-wishes').click();
  await id(page, 'effort').selectOption('low');
  await id(page, 'longest').fill('4096');
  await id(page, 'headers').fill(`X-Gateway-Token: ${TOKEN}`);
  assert.deepEqual(await accessFaults(page), []);
  await shoot(page, 'new-story-more');
  await id(page, 'composer-input').fill('Say the status');
  await page.keyboard.press('Enter');

  await card(page).waitFor();
  await shoot(page, 'permission-always');
  await id(page, 'allow-always').click();
  await done(page);
  for (const turn of server.turns) {
    assert.equal(turn.headers['x-gateway-token'], TOKEN);
    assert.equal(turn.body.reasoning_effort, 'low');
    assert.equal(turn.body.max_completion_tokens, 4096);
  }
  const [run] = await world.runs();
  assert.ok(!JSON.stringify(await world.call('run_get', { run: run.id })).includes(TOKEN));

  // The next run of the story is not asked, and says why.
  await id(page, 'composer-input').fill('Again');
  await page.keyboard.press('Enter');
  await page.waitForFunction(
    () => document.querySelectorAll('[data-testid="run-row"][data-phase="done"]').length > 0,
  );
  await server.asked(4);
  await world.allDone();
  const last = (await world.runs())[0];
  const decision = (await world.events(last.id)).find((one) => one.event.type === 'tool_decision');
  assert.equal(decision.event.verdict, 'allowed');
  assert.equal(decision.event.reason, "the project's rule `allow run git status`");

  await page.locator('section.card > button').last().click();
  await page.getByText("Allowed: the project's rule allow run git status.").waitFor();

  await id(page, 'open-rules').click();
  await id(page, 'rule-verdict').selectOption('deny');
  await id(page, 'rule-about').selectOption('fetch');
  await id(page, 'rule-pattern').fill('*.example.org');
  await page.keyboard.press('Enter');
  await page.getByText('Claude Code cannot be told').waitFor();
  assert.deepEqual(await accessFaults(page), []);
  await shoot(page, 'rules');
  await page.locator('[data-rule="allow run git status"]').getByTestId('rule-remove').click();
  await page.locator('[data-rule="allow run git status"]').waitFor({ state: 'detached' });
  const listed = await world.musher('--json', 'rules', 'list', '--dir', repository);
  assert.equal(JSON.parse(listed).rule, 'deny fetch *.example.org');
});

/** Wants `git status` once after each of the person's words. */
function status(turn) {
  if (afterTool(turn)) return [{ content: 'The tree is clean.' }];
  return [calling('run_command', { command: 'git status' })];
}
