// Large answers in gzip, for who takes it. The fastest level: it is there to spare the network, and the processor is shared with everybody else.
import { promisify } from "node:util";
import { constants, gzip } from "node:zlib";
import type { ApiRequest, ApiResponse } from "./request.ts";

/** Smaller ones are sent as they are, as by the API server of Kubernetes. */
const FROM: number = 128 * 1024;
const compress = promisify(gzip);

/** True when `Accept-Encoding` has gzip, or everything, and does not forbid it by q=0. */
export function takesGzip(header: string | undefined): boolean {
  const weights = new Map(
    (header ?? "").split(",").map((part): [string, number] => {
      const [name = "", ...parameters] = part.split(";").map((p) => p.trim().toLowerCase());
      return [name, parameters.some((p) => /^q=0(\.0*)?$/.test(p)) ? 0 : 1];
    }),
  );
  return (weights.get("gzip") ?? weights.get("*") ?? 0) > 0;
}

/** `response`, smaller where that is worth it. Endless answers stay as they are: what is in them is wanted at once. */
export async function compressed(request: ApiRequest, response: ApiResponse): Promise<ApiResponse> {
  const { body, headers } = response;
  if (typeof body === "function" || body.length < FROM || !takesGzip(request.headers["accept-encoding"])) return response;
  const vary = headers.vary === undefined ? "Accept-Encoding" : `${headers.vary}, Accept-Encoding`;
  return { ...response, headers: { ...headers, "content-encoding": "gzip", vary }, body: await compress(body, { level: constants.Z_BEST_SPEED }) };
}
