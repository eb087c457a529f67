import { screen, waitFor, within } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import axe from 'axe-core';
import { describe, expect, it } from 'vitest';
import { FakeHost, fakeRule } from '../src/host/fake/fake';
import { lineOf } from '../src/words/rules';
import { called, openAtlas } from './page';

const rows = () => screen.findAllByTestId('rule');

describe('the rules of a project', () => {
  it('are listed as sentences, added and removed', async () => {
    const host = new FakeHost();
    host.rules = [fakeRule('deny read .env'), fakeRule('deny fetch *.example.org')];
    const user = userEvent.setup();
    await openAtlas(host);
    await user.click(screen.getByTestId('open-rules'));
    const [first, second] = await rows();
    expect(first?.textContent).toContain('.env may never be read.');
    expect(second?.textContent).toContain('Claude Code cannot be told');

    await user.type(screen.getByTestId('rule-pattern'), 'git status{Enter}');
    await waitFor(async () => expect(await rows()).toHaveLength(3));
    expect(called(host, 'rule_add')).toEqual([{ project: 'api', rule: 'allow run git status' }]);
    expect((screen.getByTestId('rule-pattern') as HTMLInputElement).value).toBe('');

    await user.selectOptions(screen.getByTestId('rule-verdict'), 'deny');
    await user.selectOptions(screen.getByTestId('rule-about'), 'edit');
    await user.type(screen.getByTestId('rule-pattern'), '[[');
    await user.click(screen.getByTestId('rule-add'));
    const trouble = await screen.findByTestId('rule-trouble');
    expect(trouble.textContent).toContain('deny edit [ is no rule');
    expect((screen.getByTestId('rule-pattern') as HTMLInputElement).value).toBe('[');

    const gone = within((await rows())[0] as HTMLElement);
    await user.click(gone.getByTestId('rule-remove'));
    await waitFor(async () => expect(await rows()).toHaveLength(2));
    expect(called(host, 'rule_remove')).toEqual([{ project: 'api', rule: 'deny read .env' }]);
  });

  it('can be read by everybody, and an empty list says what that means', async () => {
    const app = await openAtlas(new FakeHost());
    app.floating = { kind: 'rules', project: 'api' };
    await screen.findByTestId('no-rules');
    const found = await axe.run(screen.getByTestId('rules'), {
      rules: { 'color-contrast': { enabled: false } },
    });
    expect(found.violations.map((one) => one.id)).toEqual([]);
  });

  it('are made of what was chosen', () => {
    expect(lineOf(true, 'run', ' cargo test* ')).toBe('allow run cargo test*');
    expect(lineOf(false, 'fetch', '')).toBe('deny fetch');
  });
});

describe('a permission', () => {
  const asks = (always: string[]) => ({
    type: 'permission_request' as const,
    request: 'r1',
    tool: 'run_command',
    kind: 'run' as const,
    title: 'git status && git diff',
    input: { command: 'git status && git diff' },
    always,
  });
  async function asked(always: string[]) {
    const host = new FakeHost();
    const run = host.add({ id: 'run-1', story: 'story-1', project: 'api', phase: 'running' });
    const app = await openAtlas(host);
    app.openStory('story-1');
    host.push(run, asks(always), { phase: 'waiting_permission', waiting: 1 });
    await screen.findByTestId('allow');
    return host;
  }

  it('can be given for good, by a rule for each part of the command', async () => {
    const host = await asked(['allow run git status', 'allow run git diff']);
    const user = userEvent.setup();
    await waitFor(() =>
      expect((screen.getByTestId('allow-always') as HTMLButtonElement).disabled).toBe(false),
    );
    await user.click(screen.getByTestId('allow-always'));
    await waitFor(() => expect(called(host, 'run_answer')).toHaveLength(1));
    expect(called(host, 'rule_add')).toEqual([
      { project: 'api', rule: 'allow run git status' },
      { project: 'api', rule: 'allow run git diff' },
    ]);
    expect(called(host, 'run_answer')).toEqual([
      { run: 'run-1', request: 'r1', answer: { kind: 'allow' } },
    ]);
  });

  it('offers nothing for good where no rule can say it', async () => {
    await asked([]);
    expect(screen.queryByTestId('allow-always')).toBeNull();
  });
});

describe('what is wished of a model', () => {
  async function wished(fill: (user: ReturnType<typeof userEvent.setup>) => Promise<void>) {
    const host = new FakeHost();
    const user = userEvent.setup();
    await openAtlas(host);
    await user.selectOptions(await screen.findByTestId('runtime'), 'openai');
    await user.type(screen.getByTestId('address'), 'http://127.0.0.1:1/v1');
    await user.click(screen.getByTestId('more-wishes'));
    await fill(user);
    await user.type(screen.getByTestId('composer-input'), 'Do it{Enter}');
    return host;
  }

  it('is sent with the story, and nothing of it stays on the page', async () => {
    const host = await wished(async (user) => {
      await user.selectOptions(screen.getByTestId('effort'), 'high');
      await user.type(screen.getByTestId('longest'), '16 000');
      await user.type(screen.getByTestId('organization'), 'org-a');
      await user.type(screen.getByTestId('headers'), 'X-Team: atlas{Enter}X-Token:  canary-55:1 ');
    });
    await waitFor(() => expect(called(host, 'run_start')).toHaveLength(1));
    const [start] = called(host, 'run_start') as { settings: { endpoint: unknown } }[];
    expect(start?.settings.endpoint).toEqual({
      base_url: 'http://127.0.0.1:1/v1',
      dialect: null,
      effort: 'high',
      max_answer_tokens: 16_000,
      organization: 'org-a',
      headers: { 'X-Team': 'atlas', 'X-Token': 'canary-55:1' },
    });
    expect(document.documentElement.outerHTML).not.toContain('canary-55');
  });

  it('is refused with a sentence where it cannot be meant', async () => {
    const host = await wished(async (user) => {
      await user.type(screen.getByTestId('headers'), 'canary-55');
    });
    const wrong = await screen.findByText('Each line is a name, a colon and a value, or empty.');
    expect(wrong.id).toBe(screen.getByTestId('headers').getAttribute('aria-describedby'));
    expect(wrong.textContent).not.toContain('canary-55');
    expect(called(host, 'run_start')).toEqual([]);
  });
});
