// Where the members of an etcd are: "https://a:2379,https://b:2379".
import { TortieError } from "../../base/errors.ts";

export type Endpoint = { readonly url: string; readonly host: string; readonly port: number; readonly tls: boolean };

const URL_OF_MEMBER = /^(https?):\/\/(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+)):([0-9]{1,5})\/?$/;

/** The members named in the text, all of one scheme. Throws TortieError. */
export function parseEndpoints(text: string): Endpoint[] {
  const endpoints = text.split(",").map((part): Endpoint => {
    const m = URL_OF_MEMBER.exec(part);
    if (!m || Number(m[4]) > 65535 || m[4] === "0")
      // The text may hold a password, where none belongs.
      throw new TortieError("Cannot use what --store names as an etcd: each member must be https://HOST:PORT", {
        hint: "For example etcd=https://10.0.0.1:2379,https://10.0.0.2:2379; a user goes into --etcd-user.",
      });
    return { url: part.replace(/\/$/, ""), host: m[2] ?? m[3]!, port: Number(m[4]), tls: m[1] === "https" };
  });
  if (new Set(endpoints.map((e) => e.tls)).size > 1)
    throw new TortieError("Cannot use these etcd members: some are https, others http", { hint: "Use https for all of them." });
  return endpoints;
}
