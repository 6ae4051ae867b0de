// The agent of one node: informers → calculation → drivers, and back: own key, tunnel addresses and report. Whatever changes only asks for another pass;
// a pass looks at the whole state. What fails is tried again; without the API server everything stays as it is.
import { BLOCK_AFFINITY } from "../api/blockaffinity.ts";
import { FELIX_CONFIGURATION } from "../api/felixconfiguration.ts";
import { IPAM_BLOCK } from "../api/ipamblock.ts";
import { IP_POOL } from "../api/ippool.ts";
import { NODE } from "../api/node.ts";
import { ANNOTATION } from "../api/node-annotations.ts";
import { type Backoff, delay } from "../base/backoff.ts";
import { messageOf } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { informer } from "../client/informer.ts";
import type { Client } from "../client/types.ts";
import { firstFound, holderOf } from "./autodetect.ts";
import { configOf } from "./calc/config.ts";
import { desiredState } from "./calc/desired.ts";
import { factsOf } from "./calc/facts.ts";
import { usesVxlan } from "./calc/plain.ts";
import { Dataplane } from "./drivers/dataplane.ts";
import { Publisher } from "./publisher.ts";
import { Reporter } from "./report.ts";
import { TunnelAddresses, vxlanMac } from "./tunnels.ts";

/** Events that come together make one pass. */
const COALESCE_MS = 10;
const RETRY: Backoff = { firstMs: 50, maxMs: 10_000, factor: 2, jitter: 0.3 };
const RESYNC_JITTER = 0.1;
/** A restarted server must not delay its agents: the first tries come quickly; the jitter keeps a thousand of them apart. */
const WATCH = { backoff: { firstMs: 80, maxMs: 5_000, factor: 2, jitter: 1 }, healthyMs: 1_000 } as const;

export type AgentOptions = {
  readonly node: string;
  readonly client: Client;
  readonly log: Log;
  /** Program and arguments of a device; the interface's name is put behind them. */
  readonly deviceCommand: readonly string[];
};

export class Agent {
  readonly #options: AgentOptions;
  readonly #dataplane: Dataplane;
  readonly #publisher: Publisher;
  readonly #tunnels: TunnelAddresses;
  readonly #reporter: Reporter;
  readonly #sources;
  #timer: NodeJS.Timeout | undefined;
  #due = 0;
  #resync: NodeJS.Timeout | undefined;
  #refreshInterval = -1;
  #running: Promise<void> | undefined;
  #again = false;
  #attempt = 0;
  #closed = false;

  constructor(options: AgentOptions) {
    this.#options = options;
    const { client, node, log } = options;
    const watch = { log, ...WATCH };
    this.#sources = {
      nodes: informer(client, NODE, watch),
      felixConfigurations: informer(client, FELIX_CONFIGURATION, watch),
      pools: informer(client, IP_POOL, watch),
      blocks: informer(client, IPAM_BLOCK, watch),
      affinities: informer(client, BLOCK_AFFINITY, watch),
    };
    this.#dataplane = new Dataplane({ log, deviceCommand: options.deviceCommand, onTrouble: () => this.#schedule(0) });
    this.#publisher = new Publisher({ client, node, log, current: () => this.#sources.nodes.get(node) });
    this.#tunnels = new TunnelAddresses({ client, node, log, publisher: this.#publisher });
    this.#reporter = new Reporter({ client, node, log, device: () => this.#dataplane.device });
  }

  /** Runs until `signal` aborts, which leaves device, routes and rule as they are. */
  async run(signal: AbortSignal): Promise<void> {
    const informers = Object.values(this.#sources);
    await this.#dataplane.readHost();
    await Promise.all(informers.map((i) => i.start(signal)));
    this.#announce();
    for (const i of informers) i.onChange(() => this.#schedule(COALESCE_MS));
    this.#sources.nodes.onChange(() => this.#publisher.check());
    this.#options.log.info("agent started");
    this.#schedule(0);
    await new Promise<void>((resolve) => (signal.aborted ? resolve() : signal.addEventListener("abort", () => resolve(), { once: true })));
    this.#closed = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#resync);
    this.#reporter.close();
    this.#publisher.close();
    this.#tunnels.close();
    await this.#running;
    this.#dataplane.close();
    await Promise.all(informers.map((i) => i.stop()));
  }

  /** Makes sure of the own Node and of an address on it: one that somebody set stays while the machine has it. */
  #announce(): void {
    const { addresses, links } = this.#dataplane;
    const own = this.#publisher.node;
    const stated = own?.metadata.annotations?.[ANNOTATION.ipv4Address];
    const kept = stated !== undefined && holderOf(addresses, stated.split("/")[0]) !== undefined ? stated : undefined;
    const address = kept ?? firstFound(links, addresses) ?? stated;
    this.#publisher.want(address === undefined ? {} : { [ANNOTATION.ipv4Address]: address });
  }

  #schedule(ms: number): void {
    const due = performance.now() + ms;
    if (this.#closed || (this.#timer && this.#due <= due)) return;
    clearTimeout(this.#timer);
    this.#due = due;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#running) this.#again = true;
      else this.#running = this.#passes();
    }, ms);
  }

  async #passes(): Promise<void> {
    do {
      this.#again = false;
      try {
        await this.#pass();
        this.#attempt = 0;
      } catch (thrown) {
        this.#options.log.warn("cannot reach the desired state, trying again", { error: messageOf(thrown) });
        this.#schedule(delay(RETRY, this.#attempt++, Math.random()));
      }
    } while (this.#again && !this.#closed);
    this.#running = undefined;
  }

  async #pass(): Promise<void> {
    const { node } = this.#options;
    const { nodes, felixConfigurations, pools, blocks, affinities } = this.#sources;
    const { metadata } = this.#publisher.node ?? {};
    const config = configOf(felixConfigurations.list(), { name: node, labels: metadata && (metadata.labels ?? {}) });
    const publicKey = config.enabled ? await this.#dataplane.identify(config.interface) : undefined;
    const own = this.#publisher.node;
    const desired = desiredState({
      node,
      nodes: own ? [...nodes.list().filter((n) => n.metadata.name !== node), own] : nodes.list(),
      felixConfigurations: felixConfigurations.list(),
      pools: pools.list(),
      blocks: blocks.list(),
      affinities: affinities.list(),
      facts: {
        publicKey,
        links: this.#dataplane.links,
        uplink: holderOf(this.#dataplane.addresses, own && factsOf(own).address),
        vxlanMac: vxlanMac(node),
      },
    });
    // Which pools this node may use depends on them and on its labels.
    const usable = JSON.stringify([own?.metadata.labels, pools.list().map((p) => [p.metadata.name, p.metadata.deletionTimestamp, p.spec])]);
    this.#tunnels.want({ wireguard: desired.encryption !== undefined, vxlan: usesVxlan(pools.list()) }, usable);
    this.#rearm(desired.refreshInterval);
    const published = own?.metadata.annotations?.[ANNOTATION.wireguardPublicKey];
    const began = performance.now();
    try {
      await this.#dataplane.apply(desired, publicKey !== undefined && published === publicKey);
    } catch (thrown) {
      this.#reporter.update(desired, publicKey, [messageOf(thrown), ...this.#refusals()]);
      throw thrown;
    }
    this.#options.log.debug("applied", { ms: Math.round(performance.now() - began), peers: desired.encryption?.peers.length ?? 0 });
    // The key is told only once the device has it: whoever hears of it may speak at once.
    this.#publisher.want({ [ANNOTATION.wireguardPublicKey]: desired.encryption ? publicKey : undefined });
    this.#reporter.update(desired, publicKey, this.#refusals());
  }

  #refusals(): string[] {
    const { refusal } = this.#publisher;
    return refusal === undefined ? [] : [`the API refuses what this node says of itself: ${refusal}`];
  }

  /** Full comparisons come by their own clock; a change of the interval starts it anew. */
  #rearm(seconds: number): void {
    if (seconds === this.#refreshInterval) return;
    this.#refreshInterval = seconds;
    clearTimeout(this.#resync);
    if (seconds <= 0) return;
    const next = (): void => {
      this.#resync = setTimeout(
        () => {
          this.#dataplane.invalidate();
          this.#schedule(0);
          next();
        },
        seconds * 1000 * (1 + RESYNC_JITTER * Math.random()),
      );
    };
    next();
  }
}
