// The log of a pod (GET …/pods/NAME/log), read by the agent of its node.
import { CHANNEL } from "../../api/nodestream.ts";
import { podLogOf, type PodLog } from "../../api/podlog.ts";
import { ApiError, badRequest, internalError, invalid, type Status, unavailable } from "../../api/status.ts";
import type { Registry } from "../objects/registry.ts";
import { type ApiRequest, type ApiResponse, flag, type ResourcePath, type Sink } from "../wire/request.ts";
import { nodeOfPod } from "./pod.ts";
import type { Streams } from "./streams.ts";

/** Throws ApiError 422. */
function askedOf(query: URLSearchParams): PodLog {
  const numbers = ["tailLines", "sinceSeconds", "limitBytes"].filter((f) => query.has(f)).map((f) => [f, Number(query.get(f) || NaN)]);
  const since = query.has("sinceTime") ? { sinceTime: query.get("sinceTime") } : {};
  const asked = podLogOf({ follow: flag(query, "follow"), timestamps: flag(query, "timestamps"), ...Object.fromEntries(numbers), ...since });
  if (Array.isArray(asked)) throw invalid({ group: "", kind: "PodLogOptions" }, "", asked);
  return asked;
}

/** Bytes that the asker may leave untaken before the node is asked for no more. */
const BACKLOG: number = 256 * 1024;
/** After so long the answer begins, also without a word of the log. */
const BEGIN_MS = 500;

/** Throws ApiError. */
export async function podLog(request: ApiRequest, path: ResourcePath, context: { registry: Registry; streams: Streams }): Promise<ApiResponse> {
  const container = request.query.get("container") ?? "";
  const asked = askedOf(request.query);
  const node = await nodeOfPod(context, path, container);
  if (flag(request.query, "previous"))
    throw badRequest(`previous terminated container ${JSON.stringify(container)} in pod ${JSON.stringify(path.name)} not found`);
  return new Promise<ApiResponse>((resolve, reject) => {
    let sink: Sink | undefined;
    /** What comes before there is somebody to write it to. */
    let early: { readonly data: Uint8Array; readonly taken: () => void }[] = [];
    let [begun, over] = [false, false];
    const untaken: (() => void)[] = [];
    const write = (to: Sink, { data, taken }: (typeof early)[number]): void => {
      to.write(data);
      if (to.waiting <= BACKLOG) return taken();
      untaken.push(taken);
      if (untaken.length > 1) return;
      to.drain(() => {
        for (const t of untaken.splice(0)) t();
      });
    };
    const begin = (): void => {
      if (begun) return;
      begun = true;
      clearTimeout(timer);
      resolve({
        code: 200,
        headers: { "content-type": "text/plain" },
        body: (to) => {
          sink = to;
          for (const e of early) write(to, e);
          early = [];
          if (over) to.end();
          return () => stream?.close();
        },
      });
    };
    const end = (failure?: ApiError): void => {
      over = true;
      if (failure && !begun) {
        clearTimeout(timer);
        return reject(failure);
      }
      const said = failure && { data: Buffer.from(`${failure.message}\n`), taken: () => {} };
      if (said && sink) write(sink, said);
      else if (said) early.push(said);
      begin();
      sink?.end();
    };
    const timer = setTimeout(begin, BEGIN_MS);
    const stream = context.streams.open(
      node,
      { type: "log", namespace: path.namespace, pod: path.name, ...asked },
      {
        data(channel, data, taken) {
          if (channel !== CHANNEL.stdout || over) return taken();
          if (sink) write(sink, { data, taken });
          else early.push({ data, taken });
          begin();
        },
        status: (payload) => end(failureOf(payload)),
        lost: () => end(unavailable("the agent of the node went away")),
      },
    );
    if (!stream) end(unavailable("the agent of the node went away"));
    else request.signal.addEventListener("abort", () => stream.close(), { once: true });
  });
}

/** Undefined when the log was read to its end. */
function failureOf(payload: Uint8Array): ApiError | undefined {
  try {
    const status = JSON.parse(Buffer.from(payload).toString()) as Status;
    if (status.status === "Success") return undefined;
    if (typeof status.message === "string") return new ApiError({ ...internalError("").status, message: status.message });
  } catch {
    // Said below.
  }
  return internalError("the node's agent gave no reason");
}
