// Kubernetes' protobuf, read only: Go clients send the core kinds in it (kubectl ≥ 1.32 `create namespace`, Calico's node status). Answers are JSON, which
// they also take. Envelope: "k8s\0", then the message Unknown. Field numbers: k8s.io/api/core/v1/generated.proto and apimachinery's meta/v1.
// A field that the tables do not know is refused: dropping it would lose data on an update.
import type { JsonObject, JsonValue } from "../../api/json.ts";
import { toBase64 } from "../../base/bytes.ts";

type Type = "string" | "strings" | "bytes" | "integer" | "boolean" | "time" | "microTime" | "rawJson" | "quantity" | Message;
type Field = { readonly name: string; readonly type: Type; readonly as?: "list" | "map" };
type Message = { readonly [number: number]: Field };

const text = (name: string): Field => ({ name, type: "string" });
const integer = (name: string): Field => ({ name, type: "integer" });
const boolean = (name: string): Field => ({ name, type: "boolean" });
const time = (name: string): Field => ({ name, type: "time" });
const microTime = (name: string): Field => ({ name, type: "microTime" });
const texts = (name: string): Field => ({ name, type: "string", as: "list" });
const textMap = (name: string): Field => ({ name, type: "string", as: "map" });
const bytes = (name: string): Field => ({ name, type: "bytes" });
const textsMap = (name: string): Field => ({ name, type: "strings", as: "map" });
const bytesMap = (name: string): Field => ({ name, type: "bytes", as: "map" });
const message = (name: string, type: Message): Field => ({ name, type });
const messages = (name: string, type: Message): Field => ({ name, type, as: "list" });

const OWNER: Message = {
  1: text("kind"),
  3: text("name"),
  4: text("uid"),
  5: text("apiVersion"),
  6: boolean("controller"),
  7: boolean("blockOwnerDeletion"),
};
const MANAGED: Message = {
  1: text("manager"),
  2: text("operation"),
  3: text("apiVersion"),
  4: time("time"),
  6: text("fieldsType"),
  7: message("fieldsV1", { 1: { name: "", type: "rawJson" } }),
  8: text("subresource"),
};
const META: Message = {
  1: text("name"),
  2: text("generateName"),
  3: text("namespace"),
  4: text("selfLink"),
  5: text("uid"),
  6: text("resourceVersion"),
  7: integer("generation"),
  8: time("creationTimestamp"),
  9: time("deletionTimestamp"),
  10: integer("deletionGracePeriodSeconds"),
  11: textMap("labels"),
  12: textMap("annotations"),
  13: messages("ownerReferences", OWNER),
  14: texts("finalizers"),
  17: messages("managedFields", MANAGED),
};
const CONDITION: Message = {
  1: text("type"),
  2: text("status"),
  3: time("lastHeartbeatTime"),
  4: time("lastTransitionTime"),
  5: text("reason"),
  6: text("message"),
};
const REFERENCE: Message = {
  1: text("kind"),
  2: text("namespace"),
  3: text("name"),
  4: text("uid"),
  5: text("apiVersion"),
  6: text("resourceVersion"),
  7: text("fieldPath"),
};
const RESOURCE: Message = {
  1: text("namespace"),
  2: text("verb"),
  3: text("group"),
  4: text("version"),
  5: text("resource"),
  6: text("subresource"),
  7: text("name"),
};
const PATH: Message = { 1: text("path"), 2: text("verb") };
const ACCESS: Message = { 1: boolean("allowed"), 2: text("reason"), 3: text("evaluationError"), 4: boolean("denied") };
const NODE_INFO: Message = {
  1: text("machineID"),
  2: text("systemUUID"),
  3: text("bootID"),
  4: text("kernelVersion"),
  5: text("osImage"),
  6: text("containerRuntimeVersion"),
  7: text("kubeletVersion"),
  8: text("kubeProxyVersion"),
  9: text("operatingSystem"),
  10: text("architecture"),
};
const KINDS: Readonly<Record<string, Message>> = {
  Namespace: {
    1: message("metadata", META),
    2: message("spec", { 1: texts("finalizers") }),
    3: message("status", {
      1: text("phase"),
      2: messages("conditions", { 1: text("type"), 2: text("status"), 4: time("lastTransitionTime"), 5: text("reason"), 6: text("message") }),
    }),
  },
  Node: {
    1: message("metadata", META),
    2: message("spec", {
      1: text("podCIDR"),
      2: text("externalID"),
      3: text("providerID"),
      4: boolean("unschedulable"),
      5: messages("taints", { 1: text("key"), 2: text("value"), 3: text("effect"), 4: time("timeAdded") }),
      7: texts("podCIDRs"),
    }),
    3: message("status", {
      1: { name: "capacity", type: "quantity", as: "map" },
      2: { name: "allocatable", type: "quantity", as: "map" },
      3: text("phase"),
      4: messages("conditions", CONDITION),
      5: messages("addresses", { 1: text("type"), 2: text("address") }),
      6: message("daemonEndpoints", { 1: message("kubeletEndpoint", { 1: integer("Port") }) }),
      7: message("nodeInfo", NODE_INFO),
      8: messages("images", { 1: texts("names"), 2: integer("sizeBytes") }),
      9: texts("volumesInUse"),
      10: messages("volumesAttached", { 1: text("name"), 2: text("devicePath") }),
    }),
  },
  ConfigMap: { 1: message("metadata", META), 2: textMap("data"), 3: bytesMap("binaryData"), 4: boolean("immutable") },
  Secret: { 1: message("metadata", META), 2: bytesMap("data"), 3: text("type"), 4: textMap("stringData"), 5: boolean("immutable") },
  Event: {
    1: message("metadata", META),
    2: message("involvedObject", REFERENCE),
    3: text("reason"),
    4: text("message"),
    5: message("source", { 1: text("component"), 2: text("host") }),
    6: time("firstTimestamp"),
    7: time("lastTimestamp"),
    8: integer("count"),
    9: text("type"),
    10: microTime("eventTime"),
    11: message("series", { 1: integer("count"), 2: microTime("lastObservedTime") }),
    12: text("action"),
    13: message("related", REFERENCE),
    14: text("reportingComponent"),
    15: text("reportingInstance"),
  },
  Lease: {
    1: message("metadata", META),
    2: message("spec", {
      1: text("holderIdentity"),
      2: integer("leaseDurationSeconds"),
      3: microTime("acquireTime"),
      4: microTime("renewTime"),
      5: integer("leaseTransitions"),
      6: text("strategy"),
      7: text("preferredHolder"),
    }),
  },
  SelfSubjectAccessReview: {
    1: message("metadata", META),
    2: message("spec", { 1: message("resourceAttributes", RESOURCE), 2: message("nonResourceAttributes", PATH) }),
    3: message("status", ACCESS),
  },
  SubjectAccessReview: {
    1: message("metadata", META),
    2: message("spec", {
      1: message("resourceAttributes", RESOURCE),
      2: message("nonResourceAttributes", PATH),
      3: text("user"),
      4: texts("groups"),
      6: text("uid"),
    }),
    3: message("status", ACCESS),
  },
  SelfSubjectRulesReview: {
    1: message("metadata", META),
    2: message("spec", { 1: text("namespace") }),
    3: message("status", { 3: boolean("incomplete"), 4: text("evaluationError") }),
  },
  TokenReview: { 1: message("metadata", META), 2: message("spec", { 1: text("token"), 2: texts("audiences") }) },
  CertificateSigningRequest: {
    1: message("metadata", META),
    2: message("spec", {
      1: bytes("request"),
      2: text("username"),
      3: text("uid"),
      4: texts("groups"),
      5: texts("usages"),
      6: textsMap("extra"),
      7: text("signerName"),
      8: integer("expirationSeconds"),
    }),
    3: message("status", {
      1: messages("conditions", {
        1: text("type"),
        2: text("reason"),
        3: text("message"),
        4: time("lastUpdateTime"),
        5: time("lastTransitionTime"),
        6: text("status"),
      }),
      2: bytes("certificate"),
    }),
  },
  SelfSubjectReview: { 1: message("metadata", META), 2: message("status", { 1: message("userInfo", { 1: text("username"), 2: text("uid") }) }) },
  DeleteOptions: {
    1: integer("gracePeriodSeconds"),
    2: message("preconditions", { 1: text("uid"), 2: text("resourceVersion") }),
    3: boolean("orphanDependents"),
    4: text("propagationPolicy"),
    5: texts("dryRun"),
  },
};
export const hasProtobuf = (kind: string): boolean => Object.hasOwn(KINDS, kind);

const MAGIC = [0x6b, 0x38, 0x73, 0x00];
const decoder = new TextDecoder("utf-8", { fatal: true });
const malformed = (why: string): never => {
  throw new SyntaxError(`malformed protobuf: ${why}`);
};

class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }
  get done(): boolean {
    return this.#at >= this.#bytes.length;
  }
  /** A varint as a signed 64-bit number; beyond 2^53 it is refused. */
  varint(): number {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#bytes[this.#at++] ?? malformed("it ends in a number");
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) {
        const n = Number(BigInt.asIntN(64, value));
        return Number.isSafeInteger(n) ? n : malformed("a number is too large");
      }
    }
    return malformed("a number is too long");
  }
  bytes(): Uint8Array {
    const length = this.varint();
    if (length < 0 || length > this.#bytes.length - this.#at) malformed("it ends too early");
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }
}

/** Fields of a message in order: number, and its varint or its bytes. */
function* fieldsOf(bytes: Uint8Array): Generator<[number, number | Uint8Array]> {
  const reader = new Reader(bytes);
  while (!reader.done) {
    const tag = reader.varint();
    const [number, wire] = [Math.floor(tag / 8), tag % 8];
    if (wire !== 0 && wire !== 2) malformed(`wire type ${wire}`);
    yield [number, wire === 0 ? reader.varint() : reader.bytes()];
  }
}

function scalar(type: Type, value: number | Uint8Array): JsonValue | undefined {
  if (type === "integer") return typeof value === "number" ? value || undefined : malformed("a number was expected");
  if (type === "boolean") return typeof value === "number" ? value !== 0 || undefined : malformed("a number was expected");
  if (typeof value === "number") return malformed("bytes were expected");
  switch (type) {
    case "string":
      return decoder.decode(value);
    case "strings":
      return decodeMessage({ 1: texts("items") }, value).items ?? [];
    case "rawJson":
      return JSON.parse(decoder.decode(value)) as JsonValue;
    case "bytes":
      return toBase64(value);
    case "quantity":
      return decodeMessage({ 1: text("value") }, value).value ?? "0";
    case "time":
    case "microTime":
      return timeOf(type, decodeMessage({ 1: integer("seconds"), 2: integer("nanos") }, value));
    default:
      return decodeMessage(type, value);
  }
}

/** RFC 3339 with whole seconds, or with microseconds; without seconds there is no time. */
function timeOf(type: "time" | "microTime", { seconds, nanos }: JsonObject): string | undefined {
  if (typeof seconds !== "number") return undefined;
  if (Math.abs(seconds) >= 8.64e12) return malformed("a time is out of range");
  const whole = new Date(seconds * 1000).toISOString().slice(0, 19);
  return type === "time" ? `${whole}Z` : `${whole}.${String(Math.floor(Number(nanos ?? 0) / 1000)).padStart(6, "0")}Z`;
}

function decodeMessage(type: Message, bytes: Uint8Array): JsonObject {
  const out: JsonObject = {};
  for (const [number, value] of fieldsOf(bytes)) {
    const field = Object.hasOwn(type, number) ? type[number]! : malformed(`field ${number} is not known`);
    if (field.as === "map") {
      const entry = decodeMessage(
        { 1: text("key"), 2: { name: "value", type: field.type } },
        typeof value === "number" ? malformed("bytes were expected") : value,
      );
      const key = typeof entry.key === "string" ? entry.key : "";
      if (key === "__proto__") malformed('the key "__proto__" is not allowed');
      ((out[field.name] ??= {}) as JsonObject)[key] = entry.value ?? "";
      continue;
    }
    const decoded = scalar(field.type, value);
    if (field.as === "list") ((out[field.name] ??= []) as JsonValue[]).push(decoded ?? "");
    // An empty text stands for an absent one; in a list and a map it stands for itself.
    else if (decoded !== undefined && (decoded !== "" || field.name === "key" || field.name === "value")) out[field.name] = decoded;
  }
  return out;
}

/** The object in an envelope. Throws SyntaxError: malformed, of a kind without a table, or with a field that its table does not know. */
export function decodeProtobuf(bytes: Uint8Array): JsonObject {
  if (!MAGIC.every((b, i) => bytes[i] === b)) malformed("it does not begin with k8s");
  const envelope = { apiVersion: "", kind: "", raw: new Uint8Array() as Uint8Array };
  for (const [number, value] of fieldsOf(bytes.subarray(MAGIC.length))) {
    if (number === 1 && typeof value !== "number") Object.assign(envelope, decodeMessage({ 1: text("apiVersion"), 2: text("kind") }, value));
    else if (number === 2 && typeof value !== "number") envelope.raw = value;
  }
  const type = hasProtobuf(envelope.kind) ? KINDS[envelope.kind]! : malformed(`kind ${JSON.stringify(envelope.kind)} is not known`);
  return { apiVersion: envelope.apiVersion, kind: envelope.kind, ...decodeMessage(type, envelope.raw) };
}
