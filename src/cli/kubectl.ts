// kubectl as far as the exercise needs it: get, patch, apply, exec, version. The real one does more, and works with our server too.
import type { Command } from "commander";
import { parse } from "yaml";
import { apiVersionOf } from "../api/kind.ts";
import { sameObject } from "../api/structure.ts";
import type { JsonObject } from "../api/json.ts";
import { messageOf, TortieError } from "../base/errors.ts";
import { isApiError } from "../client/error.ts";
import type { PatchType } from "../client/types.ts";
import { CONTENT_TYPE, type RestClient } from "../client/rest.ts";
import { clientOf, findEndpoint } from "./connect.ts";
import { VERSION } from "./version.ts";
import { apply } from "./kubectl/apply.ts";
import { exec, type ExecFlags } from "./kubectl/exec.ts";
import { get, type GetFlags } from "./kubectl/get.ts";
import { refusal } from "./kubectl/refusal.ts";
import { targetsOf, titleOf } from "./kubectl/resolve.ts";
import { onAction, program, runProgram, withExamples } from "./program.ts";

type Global = { kubeconfig?: string; context?: string; namespace?: string };
const OURS = ["get", "patch", "apply", "exec", "version"];

async function during(command: Command, act: (client: RestClient, namespace: string) => Promise<number>): Promise<number> {
  const flags: Global = command.optsWithGlobals();
  const endpoint = await findEndpoint(flags);
  const client = await clientOf(endpoint);
  try {
    return await act(client, flags.namespace ?? endpoint.namespace ?? "default");
  } catch (thrown) {
    throw refusal(thrown);
  } finally {
    await client.close();
  }
}

function addGet(root: Command): void {
  const c = root
    .command("get")
    .summary("print resources")
    .argument("<TYPE>")
    .argument("[NAMES...]")
    .option("-o, --output <FORMAT>", "wide, yaml, json or name")
    .option("-A, --all-namespaces", "of all namespaces")
    .option("-w, --watch", "print, then follow changes")
    .option("--watch-only", "follow changes")
    .option("-l, --selector <SELECTOR>", "only those with these labels")
    .option("--field-selector <SELECTOR>", "only those with these fields")
    .option("--no-headers", "without the line of headings")
    .option("--show-managed-fields", "print managedFields too");
  withExamples(c, ["kubectl get pods -A -o wide", "kubectl get felixconfiguration default -o yaml", "kubectl get nodes -w"]);
  onAction(c, (type: string, names: string[], flags: GetFlags) => during(c, (client, namespace) => get(client, [type, ...names], flags, namespace)));
}

function parsePatch(text: string): unknown {
  try {
    return parse(text); // JSON is YAML
  } catch (thrown) {
    throw new TortieError(`error: unable to parse "${text}": ${messageOf(thrown).split("\n", 1)[0]}`);
  }
}

function addPatch(root: Command): void {
  const c = root
    .command("patch")
    .summary("change fields of a resource")
    .argument("<WORDS...>", "TYPE NAME or TYPE/NAME")
    .requiredOption("-p, --patch <PATCH>", "what to change, JSON or YAML")
    .option("--type <TYPE>", "strategic, merge or json", "strategic")
    .option("--subresource <NAME>", "status");
  withExamples(c, [`kubectl patch felixconfiguration default --type merge -p '{"spec":{"wireguardEnabled":true}}'`]);
  onAction(c, (words: string[], flags: { patch: string; type: string; subresource?: string }) =>
    during(c, async (client, namespace) => {
      const [target, ...more] = targetsOf(words);
      if (!target || target.name === undefined || more.length > 0) throw new TortieError("error: patch needs one resource: TYPE NAME");
      if (!["strategic", "merge", "json"].includes(flags.type))
        throw new TortieError(`error: --type must be one of [json merge strategic], not "${flags.type}"`);
      if (flags.subresource !== undefined && flags.subresource !== "status")
        throw new TortieError(`error: --subresource must be status, not "${flags.subresource}"`);
      const { kind, name } = target;
      const scope = kind.namespaced ? { namespace } : {};
      const patch = parsePatch(flags.patch);
      const before = await client.get(kind, name, scope);
      const options = { ...scope, fieldManager: "kubectl-patch", ...(flags.subresource ? { subresource: "status" as const } : {}) };
      const after = await client
        .patch(kind, name, patch, { ...options, type: flags.type as PatchType, fieldValidation: "Strict" })
        .catch((thrown: unknown) => {
          if (!isApiError(thrown, "UnsupportedMediaType")) throw thrown;
          const what = `${CONTENT_TYPE[flags.type as PatchType]} is not supported by ${apiVersionOf(kind)}, Kind=${kind.kind}`;
          throw new TortieError(`error: ${what}: ${thrown.message}`, { hint: "--type=merge does it." });
        });
      const same = sameObject(before as unknown as JsonObject, after as unknown as JsonObject);
      process.stdout.write(`${titleOf(kind, name)} patched${same ? " (no change)" : ""}\n`);
      return 0;
    }),
  );
}

function addApply(root: Command): void {
  const c = root
    .command("apply")
    .summary("create or update from a file")
    .requiredOption("-f, --filename <FILE>", "a file, - for standard input, or a directory")
    .option("-R, --recursive", "descend into directories");
  withExamples(c, ["kubectl apply -f felix.yaml"]);
  onAction(c, (flags: { filename: string; recursive?: boolean }) =>
    during(c, (client, namespace) => apply(client, flags.filename, flags.recursive ?? false, namespace)),
  );
}

function addExec(root: Command, command: readonly string[] | undefined): void {
  const c = root
    .command("exec")
    .summary("run a command in a pod")
    .usage("[options] POD [-c CONTAINER] -- COMMAND [ARGUMENTS...]")
    .argument("<POD>")
    .argument("[COMMAND...]")
    .option("-i, --stdin", "pass this standard input on")
    .option("-t, --tty", "as a terminal")
    .option("-c, --container <NAME>", "which container")
    .option("-q, --quiet", "only the command's own output");
  withExamples(c, ["kubectl exec pod1 -it -- sh", "kubectl exec pod1 -- ip address"]);
  onAction(c, (pod: string, loose: string[], flags: ExecFlags) => {
    if (loose.length > 0) throw new TortieError("error: exec [POD] [COMMAND] is not supported anymore. Use exec [POD] -- [COMMAND] instead");
    if (!command || command.length === 0) throw new TortieError("error: you must specify at least one command for the container");
    return during(c, (client, namespace) => exec(client, pod.replace(/^(pods?|po)\//, ""), command, flags, namespace));
  });
}

function addVersion(root: Command): void {
  const c = root.command("version").summary("versions of client and server").option("--client", "only the client's");
  onAction(c, async (flags: { client?: boolean }) => {
    process.stdout.write(`Client Version: tortie v${VERSION}\n`);
    if (flags.client) return 0;
    return during(c, async (client) => {
      const { gitVersion } = await client.raw<{ gitVersion: string }>("GET", "/version");
      process.stdout.write(`Server Version: ${gitVersion}\n`);
      return 0;
    });
  });
}

export async function main(args: string[]): Promise<number> {
  const dashes = args.indexOf("--");
  const before = dashes < 0 ? args : args.slice(0, dashes);
  const root = program("kubectl", "tortie's own kubectl: get, patch, apply, exec and version. The real one works with this server too.", [
    "kubectl get nodes",
    "kubectl exec pod1 -it -- sh",
  ])
    .configureHelp({ showGlobalOptions: true })
    .option("--kubeconfig <FILE>", "where the API server is and who we are (also KUBECONFIG)")
    .option("--context <NAME>", "context of the kubeconfig")
    .option("-n, --namespace <NAME>", "namespace");
  addGet(root);
  addPatch(root);
  addApply(root);
  addExec(root, dashes < 0 ? undefined : args.slice(dashes + 1));
  addVersion(root);
  const verb = before.find((w, i) => !w.startsWith("-") && !["--kubeconfig", "--context", "-n", "--namespace"].includes(before[i - 1] ?? ""));
  if (verb !== undefined && verb !== "help" && !OURS.includes(verb))
    throw new TortieError(`Cannot run "kubectl ${verb}": this is tortie's own kubectl, which has ${OURS.join(", ")}`, {
      hint: "The real one does it: apt-get install kubernetes-client (or scripts/peers for a current one); it is used as soon as it is on PATH.",
    });
  return runProgram(
    root,
    before.flatMap((w) => (/^-[a-zA-Z]=/.test(w) ? [w.slice(0, 2), w.slice(3)] : [w])),
  );
}
