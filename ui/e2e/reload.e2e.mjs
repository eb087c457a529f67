// A page is only a view: it can be closed, loaded again or opened twice.
import assert from 'node:assert/strict';
import { card, done, id, openAtlas, row, says, scenario, startStory } from './page.mjs';

scenario('a page that is loaded again loses nothing', async ({ world, open }) => {
  const { page } = await openAtlas({ world, open });
  await startStory(page, 'Write a file [[script:edit]]');
  await card(page).waitFor();
  assert.ok(!page.url().includes('token'), 'the token leaves the address bar');
  await page.reload();
  await says(page, 'Writing.');
  await card(page).getByText('edited.txt').first().waitFor();
  assert.equal(await card(page).count(), 1);
  await id(page, 'allow').click();
  await says(page, 'Written.');
  await done(page);
  assert.equal(await card(page).count(), 0);
  assert.equal((await answers(world)).length, 1);
});

scenario('answered in one page, gone in the other', async ({ world, open }) => {
  const { page: one } = await openAtlas({ world, open });
  await startStory(one, 'Write a file [[script:edit]]');
  const two = await open({ theme: 'light' });
  await row(two, 'waiting_permission').click();
  await Promise.all([card(one).waitFor(), card(two).waitFor()]);
  // Both at once: one answer counts, and neither page is left with a card.
  await Promise.allSettled([
    id(one, 'allow').click({ timeout: 5000 }),
    id(two, 'deny').click({ timeout: 5000 }),
  ]);
  for (const page of [one, two]) {
    await card(page).waitFor({ state: 'detached' });
    await done(page);
  }
  const [answer, ...more] = await answers(world);
  assert.deepEqual(more, []);
  const words = answer.event.decision === 'allow' ? 'Written.' : 'Not written.';
  await says(one, words);
  await says(two, words);
});

scenario('one story after the other is shown at once, however many were open', async (stage) => {
  const { world, open } = stage;
  const repository = await world.repository('atlas');
  const STORIES = 8; // More than the connections that a browser keeps to one server.
  for (let number = 1; number <= STORIES; number += 1) {
    const settings = { agent_name: `coder-${number}`, runtime: 'demo', permission_mode: 'ask' };
    const place = { kind: 'fresh', repository };
    const prompt = `Story ${number} [[script:question]]`;
    await world.call('run_start', { prompt, place, settings });
  }
  const page = await open();
  for (let number = 1; number <= STORIES; number += 1) {
    await row(page, 'waiting_answer')
      .filter({ hasText: `Story ${number}` })
      .click();
    await id(page, 'transcript').getByText(`Story ${number}`).waitFor({ timeout: 10_000 });
  }
});

async function answers(world) {
  const [run] = await world.runs();
  const events = await world.events(run.id);
  return events.filter((one) => one.event.type === 'permission_answer');
}
