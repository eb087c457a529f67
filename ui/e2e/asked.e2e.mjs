// Nothing is allowed that was not seen: commands that are long or hide signs, edits, the overview.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { accessFaults, card, done, id, pressUntil, row, scenario, shoot } from './page.mjs';

const LONG = [
  ...Array.from({ length: 41 }, (_, at) => `echo line ${at} >> log.txt`),
  'echo end >> end.txt',
];
const SIGNS = 'echo a\u202etxt.exe\u200b';

const SCRIPT = {
  turns: [
    [
      { tool: { tool: { write: { path: 'notes.md', content: '# Notes\n\nOne.\n' } } } },
      { tool: { tool: { run: { command: SIGNS } } } },
      { tool: { tool: { run: { command: LONG.join('\n') } } } },
      { say: 'That was all.' },
    ],
  ],
};

scenario('the whole of what is asked is seen before it is allowed', async ({ world, open }) => {
  const repository = await world.repository('atlas');
  await world.runScript(
    repository,
    SCRIPT,
    'A title that is long enough to be cut somewhere',
    'ask',
  );
  const page = await open({ width: 1000, height: 640 });
  await id(page, 'waiting-ask').waitFor();
  await shoot(page, 'overview-asks');
  assert.deepEqual(await accessFaults(page), []);

  await row(page).click();
  await card(page).getByText('Writes the whole file').waitFor();
  await shoot(page, 'asked-write');
  assert.deepEqual(await accessFaults(page), []);
  await pressUntil(page, 'd', card(page).getByText('Writes the whole file'));
  await page.getByText('denied by you').waitFor();

  const sign = card(page).locator('[data-sign="⟨U+202E⟩"]');
  await sign.waitFor();
  assert.ok((await sign.boundingBox()).width > 40, 'the sign is seen');
  await shoot(page, 'asked-signs');
  const copied = await card(page)
    .locator('pre')
    .evaluate((pre) => {
      getSelection().selectAllChildren(pre);
      return getSelection().toString();
    });
  assert.equal(
    copied.trimEnd().replace(/\u200b$/, ''),
    SIGNS.replace(/\u200b$/, ''),
    'copied as it is',
  );
  await pressUntil(page, 'a', sign);

  const more = id(page, 'read-on');
  await more.waitFor();
  assert.match(await more.innerText(), /^\d+ more lines$/);
  assert.ok(await id(page, 'allow').isDisabled(), 'it cannot be allowed unseen');
  await shoot(page, 'asked-long');
  assert.deepEqual(await accessFaults(page), []);
  const [{ worktree }] = await world.call('run_list');
  assert.ok(!existsSync(join(worktree, 'log.txt')));
  await id(page, 'read-box').focus();
  await page.keyboard.press('End');
  await more.waitFor({ state: 'detached' });
  await shoot(page, 'asked-long-read');
  await id(page, 'allow').click();
  await done(page);
  assert.ok(existsSync(join(worktree, 'end.txt')));
});
