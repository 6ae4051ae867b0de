// A document that changes only with the program: with its ETag, and 304 for who has it.
import { createHash } from "node:crypto";
import type { ApiRequest, ApiResponse } from "../wire/request.ts";

/** Upper-case hex of SHA-512, as Kubernetes names its documents. */
export const hashOf = (body: string): string => createHash("sha512").update(body).digest("hex").toUpperCase();

/** `headers`: beside Content-Type and ETag. */
export function document(
  request: ApiRequest,
  contentType: string,
  { body, hash = hashOf(body) }: { body: string; hash?: string },
  headers: Readonly<Record<string, string>>,
): ApiResponse {
  const etag = `"${hash}"`;
  const asked = (request.headers["if-none-match"] ?? "").split(",").map((t) => t.trim().replace(/^W\//, ""));
  if (asked.includes(etag) || asked.includes("*")) return { code: 304, headers: { etag, ...headers }, body: "" };
  return { code: 200, headers: { "content-type": contentType, etag, ...headers }, body };
}
