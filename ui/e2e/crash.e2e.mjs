// `kill -9` of the server in the middle of a run: its agent goes on, and nothing is lost.
import assert from 'node:assert/strict';
import { done, id, readAll, row, say, says, scenario } from './page.mjs';

const STEPS = 60;
const step = (number) => [
  { say: `Step ${number} of ${STEPS}.` },
  { tools: [{ other: { name: 'Read', input: { file_path: `file-${number}` }, output: 'x' } }] },
  { wait: 100 },
];
/** In the middle it waits for leave, so that the crash is in the middle on any machine. */
const ASK = { tool: { tool: { run: { command: 'true', description: 'Goes on' } } } };
const SCRIPT = {
  turns: [
    Array.from({ length: STEPS }, (_, at) =>
      at === STEPS / 2 ? [ASK, ...step(at + 1)] : step(at + 1),
    ).flat(),
    [{ say: 'You said: {message}' }],
  ],
};

scenario('a crash of the server loses no event', async ({ world, open, faults }) => {
  const repository = await world.repository('atlas');
  const before = await open();
  await world.runScript(repository, SCRIPT, 'Count');
  await row(before).click();
  await says(before, /Step \d+ of/);
  const overview = await open();
  await row(overview).waitFor();
  await world.kill();
  await before.getByText('Musher does not answer.').first().waitFor();
  await overview.getByRole('alert').getByText('Musher does not answer.').waitFor();
  await overview.getByText('Start musher serve again and open the address it prints.').waitFor();
  faults.length = 0; // The page of a server that is gone cannot reach it.
  await Promise.all([before.context().close(), overview.context().close()]);

  await world.serve();
  const page = await open();
  await row(page, 'waiting_permission').click();
  await says(page, /Step \d+ of/);
  await say(page, 'Anything else?', 'queue');
  await id(page, 'allow').click();
  await says(page, `Step ${STEPS} of`);
  await says(page, 'You said: Anything else?');
  await done(page);

  const runs = await world.runs();
  assert.equal(runs.length, 1);
  assert.equal(runs[0].outcome.reason, 'completed');
  const events = await world.events(runs[0].id);
  assert.deepEqual(
    events.map((one) => one.seq),
    events.map((_, at) => at + 1),
    'no number is missing or twice',
  );
  const wanted = Array.from({ length: STEPS }, (_, at) => at + 1);
  assert.deepEqual(stepsOf(whole(events)), wanted, 'in the transcript');
  assert.deepEqual(files(events), wanted);
  const shown = (await readAll(page)).join('\n');
  assert.deepEqual(stepsOf(shown), wanted, 'in the page');
  assert.equal(shown.split('You said: Anything else?').length, 2);
  assert.equal(await id(page, 'run-row').count(), 1);
});

function stepsOf(text) {
  return [...text.matchAll(new RegExp(`Step (\\d+) of ${STEPS}\\.`, 'g'))].map((found) =>
    Number(found[1]),
  );
}

/** The texts put together: pieces are joined, and a whole block takes the place of its pieces. */
function whole(events) {
  const blocks = new Map();
  for (const { event } of events.filter((one) => one.event.type === 'text')) {
    const known = event.delta ? (blocks.get(event.block) ?? '') : '';
    blocks.set(event.block, known + event.text);
  }
  return [...blocks.values()].join('\n');
}

function files(events) {
  const calls = events.filter((one) => one.event.type === 'tool_call' && one.event.kind === 'read');
  return calls.map((one) => Number(/file-(\d+)/.exec(JSON.stringify(one.event.input))[1]));
}
