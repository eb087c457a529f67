import { screen, waitFor } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import axe from 'axe-core';
import { describe, expect, it } from 'vitest';
import type { RunSettings } from '../src/contract/contract';
import { FakeHost } from '../src/host/fake/fake';
import { none, settingsOf, type Limit } from '../src/state/chosen';
import { NO_LIMITS } from '../src/state/settings';
import { wishedWords } from '../src/words/choices';
import { called, openAtlas } from './page';

const limits = (given: Partial<Record<Limit, string>>) => {
  const plain = none();
  return { ...plain, limits: { ...plain.limits, ...given } };
};
const limited = (given: Partial<Record<Limit, string>>) => settingsOf(limits(given), false).limits;

describe('limits', () => {
  it('are none when nothing was written', () => {
    expect(limited({})).toEqual(NO_LIMITS);
    expect(limited({ turns: '  ' })).toEqual(NO_LIMITS);
  });

  it('are counted in the units of the engine', () => {
    const all = {
      dollars: '2,5',
      minutes: '1.5',
      turns: '30',
      calls: '1 200',
      tokens: '1,000,000',
    };
    expect(limited(all)).toEqual({
      max_cost_microdollars: 2_500_000,
      max_seconds: 90,
      max_turns: 30,
      max_tool_calls: 1200,
      max_tokens: 1_000_000,
    });
    expect(limited({ dollars: '$1,000' })?.max_cost_microdollars).toBe(1_000_000_000);
    expect(limited({ minutes: '0.001' })?.max_seconds).toBe(1);
  });

  it.each(['0', '0.0', '-1', 'ten', '1e3', '1.2.3'])('say what is no number: %s', (text) => {
    for (const limit of ['dollars', 'turns'] as const)
      expect(() => limited({ [limit]: text })).toThrow(
        expect.objectContaining({
          message: expect.stringMatching(/umber above 0, or empty\.$/) as string,
        }) as Error,
      );
  });

  it('of whole things are whole', () => {
    expect(() => limited({ turns: '2.5' })).toThrow();
  });

  it('stay in sight when they are folded away', () => {
    expect(wishedWords(none())).toBe('');
    const chosen = { ...limits({ dollars: '5', turns: '30' }), engineTools: true };
    expect(wishedWords(chosen)).toBe("at most 5 dollars, 30 turns, with Musher's tools");
  });
});

describe('a new story of Claude Code', () => {
  async function open(host: FakeHost) {
    const user = userEvent.setup();
    await openAtlas(host);
    await user.selectOptions(await screen.findByTestId('runtime'), 'claude-code');
    await user.click(screen.getByTestId('more-wishes'));
    return user;
  }
  const started = async (host: FakeHost) => {
    await waitFor(() => expect(called(host, 'run_start')).toHaveLength(1));
    return (called(host, 'run_start') as { settings: RunSettings }[])[0]?.settings;
  };

  it("gets Musher's tools when they are asked for, within its limits", async () => {
    const host = new FakeHost();
    const user = await open(host);
    expect(screen.queryByTestId('limit-tokens')).toBeNull();
    expect((await axe.run(document.body)).violations).toEqual([]);
    await user.click(screen.getByTestId('engine-tools'));
    await user.type(screen.getByTestId('limit-dollars'), '5');
    await user.type(screen.getByTestId('composer-input'), 'Build it{Enter}');
    const settings = await started(host);
    expect(settings?.engine_tools).toBe(true);
    expect(settings?.limits).toEqual({ ...NO_LIMITS, max_cost_microdollars: 5_000_000 });
  });

  it('gets neither unasked, and another runtime has not what was wished for this one', async () => {
    const host = new FakeHost();
    const user = await open(host);
    await user.click(screen.getByTestId('engine-tools'));
    await user.selectOptions(screen.getByTestId('runtime'), 'demo');
    expect(screen.queryByTestId('more-wishes')).toBeNull();
    await user.selectOptions(screen.getByTestId('runtime'), 'claude-code');
    await user.type(screen.getByTestId('composer-input'), 'Build it{Enter}');
    const settings = await started(host);
    expect(settings).not.toHaveProperty('engine_tools');
    expect(settings?.limits).toEqual(NO_LIMITS);
  });
});

describe('what cannot be meant', () => {
  it('is told of each field beside it, and nothing is started', async () => {
    const host = new FakeHost();
    const user = userEvent.setup();
    await openAtlas(host);
    await user.selectOptions(await screen.findByTestId('runtime'), 'openai');
    await user.click(screen.getByTestId('more-wishes'));
    const wrong = {
      longest: '1.5',
      headers: 'nonsense',
      'limit-dollars': 'abc',
      'limit-turns': '-3',
    };
    for (const [field, text] of Object.entries(wrong))
      await user.type(screen.getByTestId(field), text);
    const bad = () => [...document.querySelectorAll<HTMLElement>('[aria-invalid="true"]')];
    expect(bad()).toEqual([]);
    // Folded away, they are shown again.
    await user.click(screen.getByTestId('more-wishes'));
    await user.type(screen.getByTestId('composer-input'), 'Build it{Enter}');
    await waitFor(() => expect(bad()).toHaveLength(4));
    const told = bad().map((field) => [
      field.dataset.testid,
      document.getElementById(field.getAttribute('aria-describedby') ?? '')?.textContent,
    ]);
    expect(told).toEqual([
      ['longest', 'A whole number above 0, or empty.'],
      ['headers', 'Each line is a name, a colon and a value, or empty.'],
      ['limit-dollars', 'A number above 0, or empty.'],
      ['limit-turns', 'A whole number above 0, or empty.'],
    ]);
    expect(document.activeElement).toBe(screen.getByTestId('longest'));
    expect((await axe.run(document.body)).violations).toEqual([]);
    for (const field of Object.keys(wrong)) await user.clear(screen.getByTestId(field));
    expect(bad()).toEqual([]);
    await user.type(screen.getByTestId('composer-input'), '{Enter}');
    await waitFor(() => expect(called(host, 'run_start')).toHaveLength(1));
  });
});

describe('a test of a place', () => {
  it('sends what the story would, and nothing of it to another place', async () => {
    const host = new FakeHost();
    const user = userEvent.setup();
    await openAtlas(host);
    await user.selectOptions(await screen.findByTestId('runtime'), 'openai');
    await user.type(screen.getByTestId('address'), 'http://127.0.0.1:1/v1/');
    await user.click(screen.getByTestId('more-wishes'));
    await user.type(screen.getByTestId('organization'), 'org-a');
    await user.type(screen.getByTestId('headers'), 'X-Team: atlas');
    await user.click(screen.getByTestId('list-models'));
    const carried = { organization: 'org-a', headers: { 'X-Team': 'atlas' } };
    await waitFor(() => expect(called(host, 'endpoint_probe')).toHaveLength(1));
    expect(called(host, 'endpoint_probe')[0]).toMatchObject(carried);

    await user.click(screen.getByTestId('open-models'));
    for (const test of screen.getAllByTestId('probe')) await user.click(test);
    await waitFor(() => expect(called(host, 'endpoint_probe')).toHaveLength(4));
    const [, gemini, openai, own] = called(host, 'endpoint_probe');
    expect(own).toMatchObject({ base_url: 'http://127.0.0.1:1/v1', ...carried });
    for (const one of [gemini, openai]) expect(one).not.toHaveProperty('headers');
  });
});
