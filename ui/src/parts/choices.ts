//! What the palette offers: stories first, then what can be done.
import type { Project, RunSummary } from '../contract/contract';
import type { AppState } from '../state/app.svelte';
import { KEYS } from '../state/keys';
import { look } from '../state/look.svelte';
import { age } from '../words/figures';
import { isLive, stateOf, type Shape } from '../words/states';

export interface Choice {
  id: string;
  words: string;
  /** What it is found by beside its words. */
  more: string;
  shape?: Shape;
  right?: string;
  key?: string;
  run: () => void;
}

const keyOf = (id: string) => KEYS.find((key) => key.id === id)?.shown;

export function choicesOf(app: AppState, newStory: () => void): Choice[] {
  return [
    ...stories(app),
    { id: 'new', words: 'New story', more: 'start agent', key: keyOf('new'), run: newStory },
    ...places(app),
    ...ofRuns(app),
    ...app.projects.flatMap((project) => ofProject(app, project)),
    ...looks(app),
  ];
}

function stories(app: AppState): Choice[] {
  const names = new Map(app.projects.map((project) => [project.id, project.name]));
  return app.ordered().map(({ story, run }) => {
    const { shape, word } = stateOf(run);
    const project = names.get(run.project) ?? '';
    return {
      id: story,
      words: run.title,
      more: `${project} ${run.branch ?? ''} ${run.agent_name} ${word}`,
      shape,
      right: `${project} · ${age(run.updated_at, app.now)}`,
      run: () => app.openStory(story),
    };
  });
}

function places(app: AppState): Choice[] {
  const needs: Choice = {
    id: 'needs',
    words: 'Open who needs you',
    more: 'permission question inbox',
    key: keyOf('go-needs'),
    run: () => app.openNeeding(),
  };
  return [
    ...(app.needing.length > 0 ? [needs] : []),
    {
      id: 'overview',
      words: 'Overview',
      more: 'all agents',
      key: keyOf('go-overview'),
      run: () => app.go({ kind: 'overview' }),
    },
    {
      id: 'folder',
      words: 'Add a folder',
      more: 'project repository open',
      run: () => void app.addFolder(),
    },
    {
      id: 'doctor',
      words: 'Doctor: look at this machine',
      more: 'check git path runtimes data health',
      run: () => (app.floating = { kind: 'doctor' }),
    },
    {
      id: 'models',
      words: 'Models and keys',
      more: 'openai gemini api key endpoint address local ollama settings',
      run: () => (app.floating = { kind: 'models' }),
    },
    {
      id: 'demo',
      words: 'Try the demo',
      more: 'example',
      run: () => void app.tryDemo(null).catch((thrown: unknown) => app.fail(thrown)),
    },
  ];
}

function ofProject(app: AppState, project: Project): Choice[] {
  return [
    {
      id: project.id,
      words: `New story in ${project.name}`,
      more: project.root,
      run: () => app.go({ kind: 'new', project: project.id }),
    },
    {
      id: `rules-${project.id}`,
      words: `Rules of ${project.name}`,
      more: `permission allow deny always settings ${project.root}`,
      run: () => (app.floating = { kind: 'rules', project: project.id }),
    },
    {
      id: `off-${project.id}`,
      words: `Take ${project.name} off the list`,
      more: `remove project ${project.root}`,
      run: () => takeOff(app, project),
    },
  ];
}

/** Asks first: nothing is taken off by a key alone. */
function takeOff(app: AppState, project: Project): void {
  const remove = async () => {
    try {
      await app.host.call('project_remove', { project: project.id });
      await app.askProjects();
    } catch (thrown) {
      app.fail(thrown);
    }
  };
  app.note({
    level: 'info',
    text: `Take ${project.name} off the list? Its repository and its worktrees stay where they are.`,
    action: { label: 'Take it off', run: () => void remove() },
  });
}

function ofRuns(app: AppState): Choice[] {
  const run = app.chosen?.run;
  const tell = (thrown: unknown) => app.fail(thrown);
  const choices: Choice[] = [];
  if (run && isLive(run)) {
    choices.push({
      id: 'interrupt',
      words: 'Interrupt the turn',
      more: 'pause cancel',
      run: () => void app.host.call('run_interrupt', { run: run.id }).catch(tell),
    });
  }
  if (run && run.worktree !== '' && !app.conversation(run.story).gone) {
    choices.push({
      id: 'remove',
      words: 'Remove worktree…',
      more: `delete ${run.title} ${run.branch ?? ''}`,
      run: () => void askRemoval(app, run),
    });
  }
  if (app.live > 0) {
    choices.push({
      id: 'stop-all',
      words: `Stop all ${app.live} live agents`,
      more: 'end kill',
      run: () => stopAll(app),
    });
  }
  return choices;
}

/** Whether Musher made the worktree decides what goes with it. */
async function askRemoval(app: AppState, run: RunSummary): Promise<void> {
  try {
    const { story } = await app.host.call('run_get', { run: run.id });
    app.floating = { kind: 'remove', run, owned: story.owns_worktree };
  } catch (thrown) {
    app.fail(thrown);
  }
}

/** Ends nothing by itself: it leaves a question that says what would be lost. */
function stopAll(app: AppState): void {
  app.note({
    level: 'info',
    text: `Stop ${app.live} agents? What they wrote stays in their worktrees, and each can be continued.`,
    action: {
      label: 'Stop all',
      run: () =>
        void app.host.call('run_stop_all', {}).catch((thrown: unknown) => app.fail(thrown)),
    },
  });
}

function looks(app: AppState): Choice[] {
  const compact = look.density === 'compact';
  return [
    {
      id: 'system',
      words: 'Theme of the system',
      more: 'look appearance',
      run: () => look.setTheme('system'),
    },
    {
      id: 'light',
      words: 'Light theme',
      more: 'look appearance',
      run: () => look.setTheme('light'),
    },
    { id: 'dark', words: 'Dark theme', more: 'look appearance', run: () => look.setTheme('dark') },
    {
      id: 'density',
      words: compact ? 'Comfortable rows' : 'Compact rows',
      more: 'density look',
      run: () => look.setDensity(compact ? 'comfortable' : 'compact'),
    },
    {
      id: 'keys',
      words: 'Keys',
      more: 'shortcuts',
      key: keyOf('keys'),
      run: () => (app.floating = { kind: 'keys' }),
    },
  ];
}
