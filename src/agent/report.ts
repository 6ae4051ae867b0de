// The node's own report, NodeEncryption: what its device says of each peer. Read once a second; written when a peer's first handshake is there, when the
// peers or warnings change, and else every ten seconds, so that a reader can tell a silent agent from a quiet one.
import { NODE_ENCRYPTION, type NodeEncryptionStatus, type PeerReport } from "../api/nodeencryption.ts";
import { toBase64, wipe } from "../base/bytes.ts";
import { messageOf } from "../base/errors.ts";
import { formatEndpoint } from "../base/ip.ts";
import type { Log } from "../base/log.ts";
import { isAlreadyExists, isNotFound } from "../client/error.ts";
import type { Client } from "../client/types.ts";
import type { DeviceState } from "../uapi/types.ts";
import type { UapiConnection } from "../uapi/client.ts";
import type { Desired } from "./calc/types.ts";

const READ_MS = 1_000;
const WRITE_MS = 10_000;

/** The peers that should be, with what the device says of them. */
export function peerReports(desired: Desired, state: DeviceState | undefined): PeerReport[] {
  const seen = new Map([...(state?.peers ?? [])].map((p) => [toBase64(p.publicKey), p]));
  return (desired.encryption?.peers ?? []).map(({ node, publicKey, endpoint }) => {
    const p = seen.get(publicKey);
    const at = p?.endpoint ? formatEndpoint(p.endpoint.ip, p.endpoint.port) : `${endpoint.address}:${endpoint.port}`;
    const ms = p ? p.lastHandshakeSec * 1000 + Math.floor(p.lastHandshakeNsec / 1e6) : 0;
    const handshake = ms > 0 ? { latestHandshake: new Date(ms).toISOString() } : {};
    return { node, publicKey, endpoint: at, ...handshake, rxBytes: Number(p?.rxBytes ?? 0), txBytes: Number(p?.txBytes ?? 0) };
  });
}

/** What makes a report worth writing at once. */
const gist = (s: NodeEncryptionStatus): string =>
  JSON.stringify([
    s.publicKey,
    s.listenPort,
    s.interface,
    s.watching,
    s.warnings,
    s.peers.map((p) => [p.node, p.publicKey, p.latestHandshake !== undefined]),
  ]);

/** Whoever looks at the cluster sees where keys go out. */
export const keylogWarnings = (node: string, state: Pick<DeviceState, "keylog"> | undefined): string[] => {
  const readers = state?.keylog?.readers ?? 0;
  return readers === 0 ? [] : [`key log on: the WireGuard device of ${node} gives its keys to ${readers} ${readers === 1 ? "reader" : "readers"}`];
};

export type ReporterOptions = {
  readonly client: Client;
  readonly node: string;
  readonly log: Log;
  readonly device: () => UapiConnection | undefined;
};

export class Reporter {
  readonly #options: ReporterOptions;
  #desired: Desired | undefined;
  #publicKey: string | undefined;
  #warnings: readonly string[] = [];
  #timer: NodeJS.Timeout | undefined;
  #running = false;
  #again = false;
  #writtenGist = "";
  #writtenAt = -Infinity;
  #failures = 0;
  #closed = false;

  constructor(options: ReporterOptions) {
    this.#options = options;
  }

  /** The state that was just applied. `warnings`: more than the calculation's own. */
  update(desired: Desired, publicKey: string | undefined, warnings: readonly string[]): void {
    this.#desired = desired;
    this.#publicKey = publicKey;
    this.#warnings = [...new Set([...desired.warnings, ...warnings])].sort();
    void this.#turn();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  async #turn(): Promise<void> {
    if (this.#running) {
      this.#again = true;
      return;
    }
    this.#running = true;
    clearTimeout(this.#timer);
    try {
      do {
        this.#again = false;
        await this.#report();
      } while (this.#again && !this.#closed);
      this.#failures = 0;
    } catch (thrown) {
      if (!this.#closed && this.#failures++ === 0) this.#options.log.warn("cannot write the report, trying again", { error: messageOf(thrown) });
    } finally {
      this.#running = false;
      if (!this.#closed) this.#timer = setTimeout(() => void this.#turn(), READ_MS);
    }
  }

  async #report(): Promise<void> {
    const desired = this.#desired;
    if (!desired) return;
    const state = desired.encryption
      ? await this.#options
          .device()
          ?.get()
          .catch(() => undefined)
      : undefined;
    wipe(state?.privateKey);
    const { encryption } = desired;
    const status: NodeEncryptionStatus = {
      ...(encryption && this.#publicKey !== undefined ? { publicKey: this.#publicKey } : {}),
      ...(encryption ? { interface: encryption.interface, listenPort: state?.listenPort ?? encryption.listenPort } : {}),
      reportedAt: new Date().toISOString(),
      watching: encryption === undefined || state !== undefined,
      peers: peerReports(desired, state),
      warnings: [...this.#warnings, ...keylogWarnings(this.#options.node, state)],
    };
    const now = performance.now();
    if (gist(status) === this.#writtenGist && now - this.#writtenAt < WRITE_MS) return;
    await this.#write(status);
    this.#writtenGist = gist(status);
    this.#writtenAt = now;
  }

  async #write(status: NodeEncryptionStatus): Promise<void> {
    const { client, node } = this.#options;
    // null removes what an earlier report said.
    const patch = { status: { publicKey: null, interface: null, listenPort: null, ...status } };
    try {
      await client.patch(NODE_ENCRYPTION, node, patch, { type: "merge", subresource: "status" });
      return;
    } catch (thrown) {
      if (!isNotFound(thrown)) throw thrown;
    }
    await client
      .create(NODE_ENCRYPTION, { apiVersion: "tortie.io/v1", kind: "NodeEncryption", metadata: { name: node } })
      .catch((thrown: unknown) => {
        if (!isAlreadyExists(thrown)) throw thrown;
      });
    await client.patch(NODE_ENCRYPTION, node, { status }, { type: "merge", subresource: "status" });
  }
}
