//! Where models are reached: whose keys are kept, what was found out by asking, and what the next
//! story is to use. Nothing is asked of a model server until the person wants it. A key passes
//! through here and is kept nowhere.
import type {
  EndpointReport,
  KeptKey,
  ListedModel,
  LocalEndpoint,
  RuntimeInfo,
} from '../contract/contract';
import type { AppState } from './app.svelte';
import { lastAgent, rememberLast } from './last';
import { none, tidy, type carriedOf, type Chosen } from './chosen';

/** What the place is asked with besides. */
type Carried = ReturnType<typeof carriedOf> & { dialect?: string };

export class Models {
  chosen = $state<Chosen>(none());
  kept = $state.raw<KeptKey[]>([]);
  /** `null`: nobody looked yet. */
  local = $state.raw<LocalEndpoint[] | null>(null);
  private reports = $state.raw<ReadonlyMap<string, EndpointReport>>(new Map());

  constructor(private readonly app: AppState) {}

  /** What was found out there, if somebody asked since its key last changed. */
  report(runtime: string, address: string): EndpointReport | null {
    return this.reports.get(at(runtime, address)) ?? null;
  }

  /** The models that are known to be there. */
  listed(runtime: string, address: string): ListedModel[] {
    const found = this.local?.find((one) => one.base_url === tidy(address));
    return this.report(runtime, address)?.models ?? found?.models ?? [];
  }

  keptAt(place: string): KeptKey | undefined {
    return this.kept.find((one) => one.place === tidy(place));
  }

  /** The runtimes that speak HTTP. */
  runtimes = $derived.by((): RuntimeInfo[] =>
    (this.app.info?.runtimes ?? []).filter((one) => one.over_http),
  );

  async askKept(): Promise<void> {
    this.kept = await this.app.host.call('key_list', {});
  }

  /** `file`: the person agreed to a file, where no keychain answers. */
  async save(place: string, key: string, file: boolean): Promise<void> {
    await this.app.host.call('key_set', { place: tidy(place), key: key.trim(), file });
    await this.changed(place);
  }

  async forget(place: string): Promise<void> {
    await this.app.host.call('key_remove', { place: tidy(place) });
    await this.changed(place);
  }

  async probe(
    runtime: string,
    address: string,
    roundTrip: { model: string } | null,
    carried: Carried = {},
  ): Promise<EndpointReport> {
    const base_url = tidy(address);
    const report = await this.app.host.call('endpoint_probe', {
      runtime,
      ...(base_url && { base_url }),
      ...(roundTrip?.model && { model: roundTrip.model }),
      round_trip: roundTrip !== null,
      ...carried,
    });
    this.reports = new Map(this.reports).set(at(runtime, address), report);
    return report;
  }

  async look(): Promise<void> {
    this.local = await this.app.host.call('find_local_endpoints', {});
  }

  /** The next story takes this model; the form shows it. */
  use(runtime: string, address: string, model: string): void {
    this.chosen = { ...none(runtime), model, address: tidy(address) };
    this.app.floating = null;
    if (this.app.place.kind !== 'new') this.app.go({ kind: 'new' });
  }

  /** Another runtime: what was typed for the last one does not fit it. */
  take(runtime: string): void {
    this.chosen = none(runtime);
  }

  /** What was chosen has been started: the next story is offered the same agent. */
  started(runtime: string): void {
    rememberLast(runtime, this.chosen);
    this.recall();
  }

  /** Nothing is chosen yet but what the last story had. */
  recall(): void {
    this.chosen = lastAgent(this.app.info?.runtimes ?? []);
  }

  /** What a place said to another key counts no more. */
  private async changed(place: string): Promise<void> {
    const gone = tidy(place);
    this.reports = new Map(
      [...this.reports].filter(([key]) => {
        const [runtime, address] = key.split(' ', 2);
        return (address || runtime) !== gone;
      }),
    );
    await this.askKept();
  }
}

function at(runtime: string, address: string): string {
  return `${runtime} ${tidy(address)}`;
}
