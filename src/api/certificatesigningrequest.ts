// CertificateSigningRequest of certificates.k8s.io/v1: how a node or a person gets a client certificate while the key stays where it was made.
// https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/
import { fromBase64 } from "../base/bytes.ts";
import { sameJson } from "./json.ts";
import type { Kind } from "./kind.ts";
import { noDefaults } from "./kind.ts";
import type { FieldError, Resource } from "./meta.ts";
import { integer, list, map, object, resource, string, time } from "./schema.ts";

export type CertificateCondition = {
  /** "Approved", "Denied" or "Failed". */
  type: string;
  status: string;
  reason?: string;
  message?: string;
  lastUpdateTime?: string | null;
  lastTransitionTime?: string | null;
};
export type CertificateSigningRequest = Resource & {
  spec: {
    /** Base64 of a PEM text: PKCS#10. */
    request: string;
    signerName: string;
    usages?: string[];
    expirationSeconds?: number;
    /** Who asked; set by the server, as groups, uid and extra. */
    username?: string;
    uid?: string;
    groups?: string[];
    extra?: Record<string, string[]>;
  };
  status?: {
    conditions?: CertificateCondition[];
    /** Base64 of a PEM text. */
    certificate?: string;
  };
};

/** Signers that this server has. */
export const SIGNERS = { node: "kubernetes.io/kube-apiserver-client-kubelet", client: "kubernetes.io/kube-apiserver-client" } as const;

/** The condition of this type that holds. */
export const conditionOf = (request: CertificateSigningRequest, type: "Approved" | "Denied" | "Failed"): CertificateCondition | undefined =>
  request.status?.conditions?.find((c) => c.type === type && c.status === "True");

const SHORTEST_S = 600;
/** Decisions that are not taken back. */
const FINAL = ["Approved", "Denied", "Failed"];

function validate(now: CertificateSigningRequest, old?: CertificateSigningRequest): FieldError[] {
  const errors: FieldError[] = [];
  const bad = (field: string, message: string, reason = "FieldValueInvalid"): void => void errors.push({ field, reason, message });
  const { spec, status } = now;
  if (fromBase64(spec.request) === undefined) bad("spec.request", "Invalid value: must be base64");
  if ((spec.usages ?? []).length === 0) bad("spec.usages", "Required value", "FieldValueRequired");
  if (spec.expirationSeconds !== undefined && spec.expirationSeconds < SHORTEST_S)
    bad(
      "spec.expirationSeconds",
      `Invalid value: ${spec.expirationSeconds}: may not specify a duration less than ${SHORTEST_S} seconds (10 minutes)`,
    );
  const types = (status?.conditions ?? []).map((c) => c.type);
  if (types.includes("Approved") && types.includes("Denied"))
    bad("status.conditions", "Invalid value: Approved and Denied conditions are mutually exclusive");
  if (new Set(types).size !== types.length) bad("status.conditions", "Invalid value: a type of condition may stand only once", "FieldValueDuplicate");
  if (!old) return errors;
  if (!sameJson(spec, old.spec)) bad("spec", "Invalid value: field is immutable");
  for (const { type } of (old.status?.conditions ?? []).filter((c) => FINAL.includes(c.type)))
    if (!types.includes(type)) bad("status.conditions", `Forbidden: updates may not remove a condition of type "${type}"`, "FieldValueForbidden");
  if (old.status?.certificate !== undefined && old.status.certificate !== status?.certificate)
    bad("status.certificate", "Forbidden: updates may not change an issued certificate", "FieldValueForbidden");
  return errors;
}

function conditionText(request: CertificateSigningRequest): string {
  const said = (request.status?.conditions ?? []).map((c) => c.type);
  return [said.length > 0 ? said.join(",") : "Pending", ...(request.status?.certificate === undefined ? [] : ["Issued"])].join(",");
}

/** "365d", "24h", "10m", "600s": the largest unit that is whole. */
function durationText(seconds: number): string {
  for (const [unit, size] of [
    ["d", 86_400],
    ["h", 3600],
    ["m", 60],
  ] as const)
    if (seconds % size === 0) return `${seconds / size}${unit}`;
  return `${seconds}s`;
}

const nullable = (description: string): ReturnType<typeof time> => ({ ...time(description), nullable: true });

export const CERTIFICATE_SIGNING_REQUEST: Kind<CertificateSigningRequest> = {
  group: "certificates.k8s.io",
  version: "v1",
  kind: "CertificateSigningRequest",
  plural: "certificatesigningrequests",
  singular: "certificatesigningrequest",
  shortNames: ["csr"],
  namespaced: false,
  hasStatus: true,
  subresources: ["approval"],
  builtIn: true,
  categories: [],
  selectable: ["spec.signerName"],
  schema: resource(
    "A request for a client certificate.",
    {
      spec: object(
        "The request. Cannot be changed.",
        {
          request: string("PKCS#10 as PEM, in base64."),
          signerName: string("Who is to sign: kubernetes.io/kube-apiserver-client-kubelet or kubernetes.io/kube-apiserver-client.", {
            maxLength: 571,
          }),
          usages: list("What the key is to be used for.", string("A usage, such as client auth.", { maxLength: 64 }), { maxItems: 32 }),
          expirationSeconds: integer("Seconds that the certificate is wanted for; at least 600."),
          username: string("Who asked; set by the server."),
          uid: string("Identity of who asked; set by the server."),
          groups: list("Groups of who asked; set by the server.", string("A group.")),
          extra: map("What else is known of who asked; set by the server.", list("Values.", string("A value."))),
        },
        ["request", "signerName"],
      ),
      status: object("What became of it.", {
        conditions: list(
          "Decisions: Approved, Denied, Failed.",
          object(
            "A decision.",
            {
              type: string("Approved, Denied or Failed."),
              status: string("True, False or Unknown."),
              reason: string("Why, in one word."),
              message: string("Why, for a person."),
              lastUpdateTime: nullable("When it was said last."),
              lastTransitionTime: nullable("When the status changed."),
            },
            ["type", "status"],
          ),
          { maxItems: 16, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"] },
        ),
        certificate: string("The certificate as PEM, in base64."),
      }),
    },
    ["spec"],
  ),
  defaults: noDefaults,
  validate,
  columns: [
    { name: "Age", type: "date", priority: 0, description: "Since creation.", value: (r) => r.metadata.creationTimestamp },
    { name: "SignerName", type: "string", priority: 0, description: "Who is to sign.", value: (r) => r.spec.signerName },
    { name: "Requestor", type: "string", priority: 0, description: "Who asked.", value: (r) => r.spec.username },
    {
      name: "RequestedDuration",
      type: "string",
      priority: 0,
      description: "How long the certificate is wanted for.",
      value: (r) => (r.spec.expirationSeconds === undefined ? "<none>" : durationText(r.spec.expirationSeconds)),
    },
    { name: "Condition", type: "string", priority: 0, description: "What became of it.", value: conditionText },
  ],
};
