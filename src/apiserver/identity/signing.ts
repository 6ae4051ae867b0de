// What becomes of a CertificateSigningRequest: the server writes down who asked, approves what a node may have without asking anybody, and signs what is
// approved, in the same transaction. There is no controller that could be behind, and several servers cannot sign twice.
// https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/ ; stricter: a joining node's token names the only node it is for.
import {
  CERTIFICATE_SIGNING_REQUEST as KIND,
  type CertificateCondition,
  type CertificateSigningRequest,
  conditionOf,
  SIGNERS,
} from "../../api/certificatesigningrequest.ts";
import type { Resource } from "../../api/meta.ts";
import { nameProblem } from "../../api/names.ts";
import { forbidden, invalid } from "../../api/status.ts";
import { messageOf } from "../../base/errors.ts";
import type { User } from "../wire/request.ts";
import type { Attempt } from "./admission.ts";
import { type Authority, LONGEST_S } from "./authority.ts";
import { type CertificateRequest, readCertificateRequest } from "./pkcs10.ts";
import { ADMINS, boundNode, NODE_PREFIX, nodeOf, NODES } from "./roles.ts";

const CLIENT_AUTH = "client auth";
const NODE_USAGES = new Set(["digital signature", "key encipherment", CLIENT_AUTH]);
const SHORTEST_S = 600;

/** What the registry stores in place of an admitted object; `now` in ms since 1970. */
export const completion =
  (authority: Pick<Authority, "certify">, now: () => number): ((attempt: Attempt, user: User) => Resource) =>
  (attempt, user) =>
    attempt.kind.plural === KIND.plural ? settled(attempt, user, authority, now()) : attempt.object!;

/** The request of `attempt` as it is to be stored. `now` in ms since 1970. Throws ApiError for one that nobody may sign. */
function settled(attempt: Attempt, user: User, authority: Pick<Authority, "certify">, now: number): CertificateSigningRequest {
  let request = attempt.object as CertificateSigningRequest;
  const parsed = read(request);
  if (attempt.operation === "create") {
    request = claimed(request, user);
    const why = approval(request, parsed, user);
    if (why !== undefined) request = withCondition(request, { type: "Approved", reason: "AutoApproved", message: why }, now);
  }
  const open = request.status?.certificate === undefined && !conditionOf(request, "Failed") && !conditionOf(request, "Denied");
  // An answer to a dry run would be a certificate that nobody knows of.
  if (attempt.dryRun || !open || !conditionOf(request, "Approved")) return request;
  const { signerName, expirationSeconds } = request.spec;
  if (signerName !== SIGNERS.node && signerName !== SIGNERS.client) return request;
  const problem = signerName === SIGNERS.node ? nodeProblem(request, parsed) : clientProblem(request, parsed);
  if (problem !== undefined) return withCondition(request, { type: "Failed", reason: "SignerValidationFailure", message: problem }, now);
  const seconds = Math.min(LONGEST_S, Math.max(SHORTEST_S, expirationSeconds ?? LONGEST_S));
  const certificate = authority.certify(parsed.subject, parsed.publicKey, "client", { seconds });
  return { ...request, status: { ...request.status, certificate: Buffer.from(certificate).toString("base64") } };
}

function read(request: CertificateSigningRequest): CertificateRequest {
  try {
    return readCertificateRequest(Buffer.from(request.spec.request, "base64").toString("latin1"));
  } catch (thrown) {
    const message = `Invalid value: unable to parse csr: ${messageOf(thrown)}`;
    throw invalid(KIND, request.metadata.name, [{ field: "spec.request", reason: "FieldValueInvalid", message }]);
  }
}

/** Whatever the sender says of itself is overruled. */
function claimed(request: CertificateSigningRequest, user: User): CertificateSigningRequest {
  const { username: _n, uid: _u, groups: _g, extra: _e, ...asked } = request.spec;
  const extra = Object.fromEntries(Object.entries(user.extra ?? {}).map(([key, values]) => [key, [...values]]));
  return { ...request, spec: { ...asked, username: user.name, groups: [...user.groups], ...(user.extra ? { extra } : {}) } };
}

/** Why the request needs nobody's approval, or undefined. Throws ApiError 403 for a group that is not given away so. */
function approval(request: CertificateSigningRequest, parsed: CertificateRequest, user: User): string | undefined {
  const { signerName } = request.spec;
  if (signerName === SIGNERS.client && parsed.subject.organizations.includes(ADMINS))
    throw forbidden(KIND, request.metadata.name, `use of ${SIGNERS.client} signer with ${ADMINS} group is not allowed`);
  if (signerName !== SIGNERS.node || nodeProblem(request, parsed) !== undefined) return undefined;
  const node = parsed.subject.commonName.slice(NODE_PREFIX.length);
  if (nodeOf(user) === node) return "the node renews its own certificate";
  if (boundNode(user) === node) return "the token is for this node";
  return undefined;
}

function nodeProblem({ spec }: CertificateSigningRequest, { subject, hasExtensions }: CertificateRequest): string | undefined {
  const { commonName, organizations } = subject;
  if (organizations.length !== 1 || organizations[0] !== NODES) return `the organization must be ${NODES} and nothing else`;
  if (!commonName.startsWith(NODE_PREFIX) || nameProblem(commonName.slice(NODE_PREFIX.length), "subdomain") !== undefined)
    return `the common name must be ${NODE_PREFIX} and the name of a node`;
  if (hasExtensions) return "names beside the subject are not allowed";
  const usages = spec.usages ?? [];
  if (!usages.includes(CLIENT_AUTH) || !usages.includes("digital signature") || !usages.every((u) => NODE_USAGES.has(u)))
    return "the usages must be digital signature and client auth, and may be key encipherment";
  return undefined;
}

function clientProblem({ spec }: CertificateSigningRequest, { subject, hasExtensions }: CertificateRequest): string | undefined {
  if (subject.organizations.includes(ADMINS)) return `the group ${ADMINS} is not given by requests`;
  if (hasExtensions) return "names beside the subject are not allowed";
  return (spec.usages ?? []).includes(CLIENT_AUTH) ? undefined : `the usages must contain ${CLIENT_AUTH}`;
}

function withCondition(
  request: CertificateSigningRequest,
  condition: Pick<CertificateCondition, "reason" | "message"> & { type: "Approved" | "Failed" },
  now: number,
): CertificateSigningRequest {
  const at = `${new Date(now).toISOString().slice(0, 19)}Z`;
  const added: CertificateCondition = { ...condition, status: "True", lastUpdateTime: at, lastTransitionTime: at };
  return { ...request, status: { ...request.status, conditions: [...(request.status?.conditions ?? []), added] } };
}
