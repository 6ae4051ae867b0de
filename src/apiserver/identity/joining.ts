// A token to join with is spent by the first certificate: it serves the key that this one is for, and no other. In the transaction that issues it, the token gets
// that key's hash. Whose answer was lost asks again with the same key (`tortie agent join` keeps it until it is done); whoever finds the token later has another key.
// Two with one token are noticed at once: the second is refused, also when the first was the thief.
import { ACCESS_TOKEN, type AccessToken } from "../../api/accesstoken.ts";
import { CERTIFICATE_SIGNING_REQUEST as CSR, type CertificateSigningRequest } from "../../api/certificatesigningrequest.ts";
import type { Kind } from "../../api/kind.ts";
import type { Resource } from "../../api/meta.ts";
import { forbidden } from "../../api/status.ts";
import { type Claims, NO_CLAIMS } from "../objects/claims.ts";
import { encode, keyOf, type Registry } from "../objects/registry.ts";
import type { User } from "../wire/request.ts";
import { tokenOf } from "./roles.ts";
import { pinOf } from "./token.ts";

const TOKEN = ACCESS_TOKEN as unknown as Kind;

/** What is written beside a request for a certificate that `user` makes and the server signs. Throws ApiError 403 when the token has served another key. */
export async function spend(registry: Registry, kind: Kind, made: Resource, user: User): Promise<Claims> {
  const id = tokenOf(user);
  const signed = kind.plural === CSR.plural ? (made as CertificateSigningRequest).status?.certificate : undefined;
  if (id === undefined || signed === undefined) return NO_CLAIMS;
  const token = (await registry.find(TOKEN, "", id)) as AccessToken | undefined;
  if (!token) throw forbidden(CSR, made.metadata.name, "the token was deleted");
  const key = pinOf(Buffer.from(signed, "base64"));
  const condition = { key: keyOf(TOKEN, "", id), revision: Number(token.metadata.resourceVersion) };
  if (token.status?.key === key) return { conditions: [condition], writes: [] };
  if (token.status?.key !== undefined)
    throw forbidden(
      CSR,
      made.metadata.name,
      `the token has served: with it a certificate for another key was issued at ${token.status.used}; if that was not this node, revoke it (tortie server revoke --node ${token.spec.user}), and make another token`,
    );
  const spent: AccessToken = { ...token, status: { key, used: registry.time() } };
  return { conditions: [condition], writes: [{ key: condition.key, value: encode(TOKEN, spent) }] };
}
