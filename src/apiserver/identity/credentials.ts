// Which credentials are taken: tokens that were given out, less what expired or was revoked. Both lists stand in the store, so that several servers agree;
// here they are held in memory, because every request asks.
import type { AccessToken } from "../../api/accesstoken.ts";
import type { Resource } from "../../api/meta.ts";
import type { Revocation } from "../../api/revocation.ts";
import type { User } from "../wire/request.ts";
import { ADMINS, AUTHENTICATED, BEARER_PREFIX, BOOTSTRAPPERS, BOUND_NODE, NODE_PREFIX, VIEWERS } from "./roles.ts";
import { hasHash, parseToken } from "./token.ts";

/** What somebody came with. Times in ms since 1970. */
export type Credential =
  | { readonly type: "certificate"; readonly user: string; readonly serial: string; readonly issuedAt: number; readonly notAfter: number }
  | { readonly type: "token"; readonly id: string };

const plainSerial = (serial: string): string => serial.toLowerCase().replace(/^0+(?=.)/, "");
/** In ms since 1970. */
export const createdAt = (object: Pick<Resource, "metadata">): number => Date.parse(object.metadata.creationTimestamp ?? "");

/** Whom a revocation must name to end the token. */
export const ownerOf = ({ spec }: AccessToken): string => (spec.role === "node" ? `${NODE_PREFIX}${spec.user}` : spec.user);

export class Credentials {
  readonly #now: () => number;
  #tokens: ReadonlyMap<string, AccessToken> = new Map();
  #serials: ReadonlySet<string> = new Set();
  /** Name of a user: what was issued up to then is refused. */
  #users: ReadonlyMap<string, number> = new Map();
  readonly #listeners: (() => void)[] = [];

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Called after what was taken may be refused. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }
  setTokens(tokens: readonly AccessToken[]): void {
    this.#tokens = new Map(tokens.map((t) => [t.metadata.name, t]));
    for (const listener of this.#listeners) listener();
  }
  setRevocations(revocations: readonly Revocation[]): void {
    this.#serials = new Set(revocations.flatMap((r) => (r.spec.serial === undefined ? [] : [plainSerial(r.spec.serial)])));
    const users = new Map<string, number>();
    for (const r of revocations) if (r.spec.user !== undefined) users.set(r.spec.user, Math.max(users.get(r.spec.user) ?? 0, createdAt(r)));
    this.#users = users;
    for (const listener of this.#listeners) listener();
  }

  /** Why `credential` is not taken (any more), or undefined. */
  problem(credential: Credential): string | undefined {
    if (credential.type === "token") {
      const token = this.#tokens.get(credential.id);
      if (!token) return "the token is not known";
      if (this.#now() >= Date.parse(token.spec.expires)) return "the token has expired";
      return this.#isRevoked(ownerOf(token), createdAt(token)) ? "the token is revoked" : undefined;
    }
    if (this.#now() >= credential.notAfter) return "the certificate has expired";
    return this.#serials.has(plainSerial(credential.serial)) || this.#isRevoked(credential.user, credential.issuedAt)
      ? "the certificate is revoked"
      : undefined;
  }

  // Times have whole seconds: what was issued in the second of the revocation counts as before it.
  #isRevoked(user: string, issuedAt: number): boolean {
    return issuedAt <= (this.#users.get(user) ?? -1);
  }

  /** Whose token this is, or why it is not taken. Takes the same time whether the first part of the token is known or not, but for a look-up. */
  bearer(text: string): { user: User; credential: Credential } | { refused: string } {
    const asked = parseToken(text);
    if (!asked) return { refused: "the token has not the form of one" };
    const token = this.#tokens.get(asked.id);
    const credential = { type: "token", id: asked.id } as const;
    if (!hasHash(asked.bearer, token?.spec.hash ?? "") || !token) return { refused: "the token is not known" };
    const refused = this.problem(credential);
    return refused === undefined ? { user: userOf(token), credential } : { refused };
  }
}

function userOf({ metadata, spec }: AccessToken): User {
  switch (spec.role) {
    case "admin":
      return { name: spec.user, groups: [ADMINS, AUTHENTICATED] };
    case "viewer":
      return { name: spec.user, groups: [VIEWERS, AUTHENTICATED] };
    case "node":
      return { name: `${BEARER_PREFIX}${metadata.name}`, groups: [BOOTSTRAPPERS, AUTHENTICATED], extra: { [BOUND_NODE]: [spec.user] } };
  }
}
