// A story in a repository of one's own: start, answer, stop, talk on.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  card,
  done,
  id,
  openAtlas,
  pressUntil,
  row,
  say,
  says,
  scenario,
  shoot,
  startStory,
} from './page.mjs';

scenario('a change that is denied does not happen', async ({ world, open }) => {
  const { page } = await openAtlas({ world, open });
  await startStory(page, 'Write a file [[script:edit]]');
  await card(page).waitFor();
  await pressUntil(page, 'd', card(page));
  await says(page, 'Not written.');
  await done(page);
  await says(page, 'Denied by you');
  const [run] = await world.runs();
  assert.ok(!existsSync(join(run.worktree, 'edited.txt')));
  assert.equal(run.files_changed, 0);
});

scenario('stopped with Esc, then talked on in the same session', async ({ world, open }) => {
  const { page } = await openAtlas({ world, open });
  await startStory(page, 'Talk without end [[script:slow]]');
  await says(page, /Slow words/);
  await id(page, 'composer-input').focus();
  await page.keyboard.press('Escape');
  await id(page, 'stop-again').getByText('again stops').waitFor();
  await shoot(page, 'stop-again');
  await page.keyboard.press('Escape');
  await says(page, 'You stopped it.');
  await done(page);
  await shoot(page, 'stopped');

  await say(page, 'Listen now [[script:follow_up]]');
  await says(page, 'I am listening.');
  await done(page);
  await say(page, 'and answer this');
  await says(page, 'You wrote:');
  await done(page);
  assert.equal(await row(page).count(), 1, 'one story');
  const runs = await world.runs();
  assert.equal(runs.length, 3);
  assert.equal(new Set(runs.map((run) => run.story)).size, 1);
  assert.equal(new Set(runs.map((run) => run.worktree)).size, 1);
});

scenario('one message waits for the end of the turn, one steers it', async ({ world, open }) => {
  const { page } = await openAtlas({ world, open });
  await startStory(page, 'Small steps [[script:steer times=20]]');
  await says(page, 'Working in small steps.');
  await say(page, 'when you are done', 'queue');
  await says(page, 'waits for the end of this turn');
  await shoot(page, 'queued-message');
  await says(page, 'All steps done.');
  await page.getByText('waits for the end of this turn', { exact: true }).waitFor({
    state: 'detached',
  });
  await say(page, 'turn left', 'steer');
  await says(page, 'Steered: turn left');
  await done(page);
  const said = (await world.runs()).length;
  assert.equal(said, 1, 'both were said in the same run');
});

scenario('a question is answered by a number key', async ({ world, open }) => {
  const { page } = await openAtlas({ world, open });
  await startStory(page, 'Ask me [[script:question]]');
  await id(page, 'question').waitFor();
  await shoot(page, 'question');
  const working = await heights(page);
  await pressUntil(page, '2', id(page, 'question'));
  await says(page, 'You chose Blue.');
  await says(page, 'Answered: Blue');
  await done(page);
  await id(page, 'stop').waitFor({ state: 'detached' });
  assert.deepEqual(await heights(page), working, 'the composer is as high as before');
});

/** Of the composer, in windows of several widths, with as much chosen as two long names take. */
async function heights(page) {
  const found = [];
  const before = page.viewportSize();
  await id(page, 'composer')
    .locator('.bot > .pick')
    .first()
    .evaluate((pick) => (pick.style.cssText = 'width: 330px; max-width: none'));
  for (const width of [480, 640, 1280]) {
    await page.setViewportSize({ ...before, width });
    // Whether both halves have room is known a frame after the window's width.
    await page.evaluate(
      () => new Promise((seen) => requestAnimationFrame(() => requestAnimationFrame(seen))),
    );
    const { height } = await id(page, 'composer').boundingBox();
    found.push(`${width}: ${Math.round(height)}`);
  }
  await page.setViewportSize(before);
  return found;
}

scenario('a plan is sent back, the next one approved and carried out', async ({ world, open }) => {
  const { page } = await openAtlas({ world, open });
  await startStory(page, 'Plan it [[script:plan_approval]]', 'plan');
  await page.getByRole('heading', { name: 'Has a plan' }).waitFor();
  await shoot(page, 'plan');
  await page.getByRole('button', { name: 'Say what to change…' }).click();
  await page.getByLabel('Why it is denied').fill('Smaller, please.');
  await page.keyboard.press('Enter');
  await says(page, /No plan, no change: .*/);
  await done(page);

  await say(page, 'Again [[script:plan_approval]]');
  await id(page, 'allow').click();
  await says(page, 'Plan approved by you');
  // Whether edits are asked for after a plan is the agent's own rule: both are answered here.
  await Promise.race([
    says(page, 'Plan carried out.'),
    card(page)
      .getByText('Wants to change a file')
      .waitFor()
      .then(() => pressUntil(page, 'a', card(page))),
  ]);
  await says(page, 'Plan carried out.');
  await done(page);
  await page.locator('[data-testid="changed-file"][data-path="planned.txt"]').waitFor();
  const [run] = await world.runs();
  assert.equal(readFileSync(join(run.worktree, 'planned.txt'), 'utf8'), 'planned\n');
});

scenario('what cannot be used is said in one sentence', async ({ world, open }) => {
  const page = await open();
  mkdirSync(join(world.dir, 'plain'));
  await id(page, 'dropzone').click();
  for (const [path, words] of [
    [join(world.dir, 'plain'), /not (inside|in) a git repository|no git repository/i],
    [join(world.dir, 'nowhere'), /not there|does not exist|no folder|nothing/i],
  ]) {
    await id(page, 'folder-path').fill(path);
    await page.locator('dialog p').filter({ hasText: words }).waitFor();
    assert.ok(await id(page, 'folder-add').isDisabled());
  }
  await shoot(page, 'no-repository');
  await page.keyboard.press('Escape');
  await id(page, 'dropzone').waitFor();
  assert.equal((await world.call('project_list')).length, 0);
});
