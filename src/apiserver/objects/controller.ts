// How controllers write: under a name of their own, as Kubernetes' do, and each write with its line in the audit log, as if they had come by the door.
import { randomUUID } from "node:crypto";
import type { JsonObject } from "../../api/json.ts";
import { apiVersionOf } from "../../api/kind.ts";
import { unavailable } from "../../api/status.ts";
import type { AuditLine } from "../identity/audit.ts";
import { ADMINS } from "../identity/roles.ts";
import { statusOf } from "../wire/answer.ts";
import type { Target, User } from "../wire/request.ts";
import type { DeleteOptions } from "./deletion.ts";
import type { Registry, WriteOptions, Written } from "./registry.ts";

export type Auditing = {
  readonly audit: (line: AuditLine) => void;
  /** Why nothing may be changed until the audit log is well again, or undefined. */
  readonly auditFailure: () => string | undefined;
};

const pathOf = ({ kind, namespace, name, subresource }: Target): string =>
  [
    "",
    kind.group === "" ? "api" : "apis",
    apiVersionOf(kind),
    ...(kind.namespaced ? ["namespaces", namespace] : []),
    kind.plural,
    ...(name === "" ? [] : [name]),
    ...(subresource === "" ? [] : [subresource]),
  ].join("/");

/** `name`: as of Kubernetes' controllers, which are service accounts of kube-system. */
export const controllerUser = (name: string): User => ({ name: `system:serviceaccount:kube-system:${name}`, groups: [ADMINS] });

export class Controller {
  readonly #registry: Registry;
  readonly #auditing: Auditing;
  readonly #user: User;

  constructor(name: string, registry: Registry, auditing: Auditing) {
    this.#registry = registry;
    this.#auditing = auditing;
    this.#user = controllerUser(name);
  }

  create(target: Target, object: JsonObject): Promise<Written> {
    return this.#audited("create", target, (options) => this.#registry.create(target, object, [], options));
  }
  /** `apply` gives the object as it should be. */
  patch(target: Target, apply: (current: JsonObject) => JsonObject): Promise<Written> {
    return this.#audited("patch", target, (options) => this.#registry.patch(target, { duplicates: [], apply }, options));
  }
  remove(target: Target, how: DeleteOptions = {}): Promise<unknown> {
    return this.#audited("delete", target, (options) => this.#registry.remove(target, { ...options, ...how }));
  }
  /** Several at once, by a transaction of the caller's, which resolves to whether it was done. */
  async removeTogether(targets: readonly Target[], transaction: () => Promise<boolean>): Promise<void> {
    this.#check();
    if (await transaction()) for (const target of targets) this.#tell("delete", target, { code: 200 });
  }

  async #audited<T>(verb: string, target: Target, write: (options: WriteOptions) => Promise<T>): Promise<T> {
    this.#check();
    try {
      const result = await write({ user: this.#user, dryRun: false, validation: "Ignore" });
      this.#tell(verb, target, { code: verb === "create" ? 201 : 200 });
      return result;
    } catch (thrown) {
      const { code, reason = "", message = "" } = statusOf(thrown);
      this.#tell(verb, target, { code, reason, message });
      throw thrown;
    }
  }

  #check(): void {
    const broken = this.#auditing.auditFailure();
    if (broken !== undefined) throw unavailable(`the audit log cannot be written, so nothing is changed: ${broken}`);
  }
  #tell(verb: string, target: Target, outcome: Pick<AuditLine, "code" | "reason" | "message">): void {
    const { name, groups } = this.#user;
    this.#auditing.audit({ verb, path: pathOf(target), user: name, groups, role: "admin", id: randomUUID(), ...outcome });
  }
}
