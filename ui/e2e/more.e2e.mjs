// What is beside a story: finding words in it, removing its worktree, looking at the machine.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { accessFaults, done, id, row, says, scenario, shoot } from './page.mjs';

const RUST = 'pub fn one() -> u8 {\n    1\n}\n';
const write = (path, content) => ({ tool: { tool: { write: { path, content } } } });
const STEPS = Array.from({ length: 120 }, (_, at) => ({ say: `Line ${at + 1} of the log.` }));
const SCRIPT = {
  turns: [
    [
      { say: 'The needle is here:\n\n```rust\nfn needle() -> u8 { 1 }\n```' },
      ...STEPS,
      write('src/lib.rs', RUST),
      { say: 'And a NEEDLE at the end.' },
    ],
  ],
};

async function finished(world, open) {
  const repository = await world.repository('atlas');
  await world.runScript(repository, SCRIPT, 'Find me');
  const page = await open();
  await row(page).first().click();
  await says(page, 'And a NEEDLE at the end.');
  await done(page);
  return { page, repository };
}

scenario('words are found in the whole conversation', async ({ world, open }) => {
  const { page } = await finished(world, open);
  await page.keyboard.press('Control+f');
  await id(page, 'find-input').fill('needle');
  await id(page, 'find-count').getByText('3 of 3').waitFor();
  await page.keyboard.press('Enter');
  await id(page, 'find-count').getByText('1 of 3').waitFor();
  await id(page, 'transcript').getByText('The needle is here').waitFor();
  assert.equal(await page.locator('[data-key].found').count(), 1);
  const marked = await page.evaluate(() => {
    const said = (name) => [...(CSS.highlights.get(name) ?? [])].map(String);
    return { all: said('found'), now: said('found-now') };
  });
  assert.deepEqual(marked, { all: ['needle', 'needle'], now: ['needle'] });
  await page.locator('pre .t-keyword').getByText('fn').waitFor();
  assert.deepEqual(await accessFaults(page), []);
  await shoot(page, 'find');
  await page.keyboard.press('Escape');
  await id(page, 'find-input').waitFor({ state: 'detached' });
  await page.locator('[data-testid="diff"] .t-keyword').first().waitFor();
  assert.deepEqual(await accessFaults(page), []);
});

scenario('a worktree is removed, and what it held is kept', async ({ world, open, faults }) => {
  const { page, repository } = await finished(world, open);
  const [run] = await world.runs();
  await id(page, 'story-menu').click();
  assert.deepEqual(await accessFaults(page), []);
  await page.getByText('Remove worktree…').click();
  await id(page, 'remove').click();
  await id(page, 'reasons').getByText('src/').waitFor();
  assert.ok(existsSync(run.worktree), 'it asks before it removes');
  assert.deepEqual(await accessFaults(page), []);
  await shoot(page, 'remove-worktree');
  await id(page, 'remove-force').click();
  await id(page, 'removed').getByText('refs/musher/rescue/').waitFor();
  assert.ok(!existsSync(run.worktree));
  const refs = await world.git(repository, 'for-each-ref', '--format=%(refname)', 'refs/musher');
  assert.equal(await world.git(repository, 'show', `${refs.trim()}:src/lib.rs`), RUST);

  await page.keyboard.press('Escape');
  await page.reload();
  await says(page, 'And a NEEDLE at the end.');
  await id(page, 'gone').waitFor();
  assert.equal(await id(page, 'composer-input').count(), 0, 'nothing can be sent to nowhere');
  await shoot(page, 'worktree-gone');
  // What git cannot read any more is answered with 500.
  faults.splice(0, faults.length, ...faults.filter((fault) => !fault.includes('status of 500')));
});

scenario('the doctor says what is here', async ({ open }) => {
  const page = await open();
  await id(page, 'open-doctor').click();
  await page.getByText('All that Musher needs is here').waitFor();
  for (const words of ['is installed.', 'Claude Code was not found.', 'Everything is kept in'])
    await id(page, 'doctor').getByText(words).waitFor();
  assert.deepEqual(await accessFaults(page), []);
  await shoot(page, 'doctor');
  await page.keyboard.press('Escape');
  await id(page, 'dropzone').waitFor();
});
