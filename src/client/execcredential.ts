// What a credential plug-in gave: kept in memory until it expires or the server refuses it, then the plug-in is run again.
// https://kubernetes.io/docs/reference/config-api/client-authentication.v1/
import { createSecureContext } from "node:tls";
import { isObject, type JsonObject } from "../api/json.ts";
import { messageOf, TortieError } from "../base/errors.ts";
import { runForOutput } from "../sys/child.ts";
import type { Credentials, Shown } from "./credentials.ts";
import type { ExecPlugin } from "./execplugin.ts";

/** What a plug-in gave, and until when it is good, in ms since 1970. */
type Given = { readonly shown: Shown; readonly expires: number };

export type PluginOptions = {
  /** ms since 1970. @default Date.now */
  now?: () => number;
  /** Whether a person can be asked on standard input. */
  terminal?: boolean;
};

/** Runs the plug-in when something is asked for; those who ask meanwhile wait for the same run. Throws TortieError: never with what the plug-in printed. */
export function pluginCredentials(plugin: ExecPlugin, options: PluginOptions = {}): Credentials {
  const { now = Date.now, terminal = process.stdin.isTTY === true } = options;
  let running: { given: Promise<Given>; abort: AbortController } | undefined;
  let kept: Given | undefined;
  const renew = (): Promise<Given> => {
    if (running) return running.given;
    const abort = new AbortController();
    const given = run(plugin, terminal, abort.signal).finally(() => (running = undefined));
    running = { given, abort };
    return given;
  };
  return {
    current: async () => {
      if (kept === undefined || kept.expires <= now()) kept = await renew();
      return kept.shown;
    },
    refused: (shown) => {
      // Somebody else's refusal may have renewed it already.
      if (kept?.shown === shown) kept = undefined;
      return true;
    },
    close: () => running?.abort.abort(),
  };
}

async function run(plugin: ExecPlugin, terminal: boolean, signal: AbortSignal): Promise<Given> {
  const { command, args, interactiveMode } = plugin;
  const fail = (why: string, hint = ""): never => {
    throw new TortieError(`Cannot get the credentials of the user "${plugin.user}": the plug-in "${command}" ${why}`, { hint });
  };
  if (interactiveMode === "Always" && !terminal) return fail("has to ask a person, and standard input is no terminal");
  const interactive = interactiveMode !== "Never" && terminal;
  const asked = {
    apiVersion: plugin.apiVersion,
    kind: "ExecCredential",
    spec: { interactive, ...(plugin.cluster ? { cluster: plugin.cluster } : {}) },
  };
  const env = { ...process.env, ...plugin.env, KUBERNETES_EXEC_INFO: JSON.stringify(asked) };
  const ran = await runForOutput([command, ...args], { env, input: interactive, signal }).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === "ENOENT") return fail("is not installed", plugin.installHint || "Install it, or put where it is into PATH.");
    if (cause.code === "EACCES") return fail("is no program that may be run");
    return fail(signal.aborted ? "was given up" : `cannot be run: ${messageOf(cause)}`);
  });
  if (ran.ended !== "") return fail(`failed: ${ran.ended}`);
  return givenIn(ran.output, plugin.apiVersion, fail);
}

function givenIn(output: string, apiVersion: string, fail: (why: string) => never): Given {
  const answer = parsed(output);
  if (answer?.kind !== "ExecCredential") return fail("printed no ExecCredential");
  if (answer.apiVersion !== apiVersion)
    return fail(`printed an ExecCredential of ${JSON.stringify(answer.apiVersion ?? "")}; the kubeconfig says ${apiVersion}`);
  const { status } = answer;
  if (!isObject(status)) return fail("printed an ExecCredential without a status");
  const field = (name: string): string | undefined => (typeof status[name] === "string" && status[name] !== "" ? status[name] : undefined);
  const [token, cert, key, until] = [field("token"), field("clientCertificateData"), field("clientKeyData"), field("expirationTimestamp")];
  if ((cert === undefined) !== (key === undefined)) return fail("gave only one of certificate and key");
  if (token === undefined && cert === undefined) return fail("gave neither a token nor a certificate");
  const expires = until === undefined ? Infinity : Date.parse(until);
  if (Number.isNaN(expires)) return fail("gave an expirationTimestamp that is no time");
  try {
    if (cert !== undefined) createSecureContext({ cert, key });
  } catch {
    return fail("gave a certificate and a key that do not belong together, or are no PEM");
  }
  return { shown: { ...(token === undefined ? {} : { token }), ...(cert === undefined ? {} : { cert, key: key! }) }, expires };
}

/** Nothing of it is quoted when it is no JSON: it may be a token. */
function parsed(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
