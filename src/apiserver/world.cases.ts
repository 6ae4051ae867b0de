// An API server in process for the tests of this folder: requests in, answers out, over a memory store and a clock that stands.
import { beforeEach } from "vitest";
import { KINDS } from "../api/kinds.ts";
import { silent } from "../base/log.ts";
import { MvccStore, type Persistence } from "../store/mvcc.ts";
import { ACCESS_TOKEN } from "../api/accesstoken.ts";
import { REVOCATION } from "../api/revocation.ts";
import { authorityOf, newAuthority } from "./identity/authority.ts";
import { spend } from "./identity/joining.ts";
import type { Limits } from "./identity/limits.ts";
import { completion } from "./identity/signing.ts";
import { Credentials } from "./identity/credentials.ts";
import { SOCKET_OWNER } from "./identity/authenticate.ts";
import type { AuditLine } from "./identity/audit.ts";
import { Handler } from "./handler.ts";
import { Registry } from "./objects/registry.ts";
import type { ApiResponse, User } from "./wire/request.ts";
import type { Auditing } from "./objects/controller.ts";
import { follow } from "./objects/follow.ts";
import { seed } from "./objects/seed.ts";

const START = Date.parse("2026-11-23T12:00:00Z");
const AUTHORITY = newAuthority(START);

export class World {
  now: number = START;
  readonly store: MvccStore;
  readonly audited: AuditLine[] = [];
  readonly credentials: Credentials = new Credentials(() => this.now);
  #uid = 0;
  readonly registry: Registry;
  #limits: Limits | undefined;
  #auditFailure: string | undefined;
  readonly handler: Handler;

  /** Without a disk, it is all in memory. */
  constructor(disk?: Persistence) {
    this.store = new MvccStore(() => this.now, undefined, disk);
    this.registry = new Registry({
      store: this.store,
      now: () => this.now,
      uid: () => `00000000-0000-4000-8000-${String(++this.#uid).padStart(12, "0")}`,
      random: () => 0,
      complete: completion(
        authorityOf(AUTHORITY, () => this.now),
        () => this.now,
      ),
      beside: spend,
    });
    this.handler = new Handler({
      kinds: KINDS,
      registry: this.registry,
      gitVersion: "v1.36.0+t",
      now: () => this.now,
      random: () => 0.5,
      log: silent,
      audit: (line) => this.audited.push(line),
      auditFailure: () => this.#auditFailure,
      limits: { take: (...who) => this.#limits?.take(...who) ?? "yes", watch: (...who) => this.#limits?.watch(...who) ?? ((): void => {}) },
      credentials: this.credentials,
    });
  }
  limit(limits: Limits): void {
    this.#limits = limits;
  }
  /** For controllers. */
  readonly auditing: Auditing = { audit: (line) => this.audited.push(line), auditFailure: () => this.#auditFailure };
  breakAudit(why: string | undefined): void {
    this.#auditFailure = why;
  }
  async seed(): Promise<void> {
    await seed(this.registry, "0.0.0");
    await follow(this.registry, ACCESS_TOKEN, (tokens) => this.credentials.setTokens(tokens));
    await follow(this.registry, REVOCATION, (all) => this.credentials.setRevocations(all));
  }
}

/** A fresh world before each test of the file. */
export let world: World;
export function freshWorlds(disk?: Persistence): void {
  beforeEach(async () => {
    world = new World(disk);
    await world.seed();
  });
}

export const nodeUser = (name: string): User => ({ name: `system:node:${name}`, groups: ["system:nodes", "system:authenticated"] });
export const NOBODY: User = { name: "system:anonymous", groups: ["system:unauthenticated"] };
export const MERGE = { "content-type": "application/merge-patch+json" };
export const FELIX = "/apis/projectcalico.org/v3/felixconfigurations";
export const POOLS = "/apis/projectcalico.org/v3/ippools";
export const pool = (name: string, more: object = {}): object => ({
  apiVersion: "projectcalico.org/v3",
  kind: "IPPool",
  metadata: { name },
  spec: { cidr: "10.0.0.0/16" },
  ...more,
});

/** `body`: bytes, a text as it is, or anything as JSON. */
export type Options = { user?: User; body?: unknown; headers?: Record<string, string>; signal?: AbortSignal };
export function send(method: string, target: string, options: Options = {}): Promise<ApiResponse> {
  const [path, query] = target.split("?");
  const { body, user = SOCKET_OWNER, headers = {} } = options;
  const bytes =
    body === undefined ? new Uint8Array() : body instanceof Uint8Array ? body : Buffer.from(typeof body === "string" ? body : JSON.stringify(body));
  return world.handler.handle({
    method,
    path: path!,
    query: new URLSearchParams(query ?? ""),
    headers,
    user,
    id: "00000000-0000-4000-8000-00000000a0d1",
    source: "test",
    body: () => Promise.resolve(bytes),
    signal: options.signal ?? new AbortController().signal,
  });
}

// oxlint-disable-next-line typescript/no-explicit-any
export type Any = any;
export type Answer = { code: number; body: Any; headers: Readonly<Record<string, string>> };
/** As `send`, with the body read as JSON where it is. */
export async function call(method: string, target: string, options: Options = {}): Promise<Answer> {
  const { code, body, headers } = await send(method, target, options);
  const text = Buffer.from(body as string).toString();
  return { code, headers, body: text.startsWith("{") ? JSON.parse(text) : text };
}
