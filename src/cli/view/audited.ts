// The audit of what is viewed: the same verdict as `tortie audit FILE --inventory`, as far as the capture has come.
import { Audit } from "../../capture/audit/audit.ts";
import type { Inventory } from "../../capture/audit/inventory.ts";
import { Opener } from "../../capture/audit/opener.ts";
import { type AuditReport, reportOf } from "../../capture/audit/report.ts";
import type { Facts } from "../../capture/facts.ts";
import type { Secrets } from "../../capture/secrets.ts";
import type { TrackedPacket } from "../../capture/tracked.ts";
import { nodeCrypto } from "../../crypto/node.ts";

export class Audited {
  readonly #audit: Audit;
  readonly #source: { readonly name: string };
  readonly #told = { interfaces: 0, statistics: 0, damage: 0 };
  #last: AuditReport | undefined;
  #of = -1;

  /** `secrets`: what they open counts as proven. */
  constructor(name: string, inventory: Inventory, secrets: Secrets | undefined) {
    this.#source = { name };
    this.#audit = new Audit(nodeCrypto, inventory, { sources: [this.#source], opener: secrets && new Opener(nodeCrypto, secrets) });
  }
  add(t: TrackedPacket): void {
    this.#audit.add(t.packet, this.#source);
  }
  /** The last report; a new one where packets have come since, unless there are more to come in a moment. `facts`: what stands beside packets, by now. */
  report(facts: Facts, walking: boolean): AuditReport | undefined {
    if (walking || this.#of === this.#audit.frames + facts.damage.length) return this.#last;
    this.#of = this.#audit.frames + facts.damage.length;
    const [audit, told] = [this.#audit, this.#told];
    for (; told.interfaces < facts.interfaces.length; told.interfaces++) audit.announce(this.#source);
    for (; told.statistics < facts.statistics.length; told.statistics++) audit.statistics(facts.statistics[told.statistics]!);
    for (; told.damage < facts.damage.length; told.damage++) audit.damage(this.#source, facts.damage[told.damage]!);
    return (this.#last = reportOf(audit, audit.judge(), { subject: this.#source.name, remarks: [] }));
  }
}
