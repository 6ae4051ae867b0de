// calicoctl's command line, also that of `tortie get|patch|apply|create|replace|delete|label`. https://docs.tigera.io/calico/latest/reference/calicoctl/
import { basename } from "node:path";
import { type Command, CommanderError, Option } from "commander";
import { TortieError } from "../../base/errors.ts";
import { onAction, program, runProgram, withExamples } from "../program.ts";
import { DEFAULT_CONFIG } from "./config.ts";
import type { ConvertFlags } from "./convert.ts";
import { get, type GetFlags } from "./get.ts";
import { inNamespace } from "./input.ts";
import { addIpam } from "./ipam/commands.ts";
import { labelResource, type LabelFlags } from "./label.ts";
import { addDatastore } from "./migrate/commands.ts";
import { addNode } from "./node/commands.ts";
import { PATCH_TYPES, patchResource, type PatchType } from "./patch.ts";
import { during, LOG_LEVELS, printing } from "./session.ts";
import { typeOf } from "./types.ts";
import { pollInterval, printVersion } from "./version.ts";
import { itemsOfFile, itemsOfNames, type WriteFlags, writeItems, type WriteVerb } from "./write.ts";

/** "calicoctl" when called by that name (or as a plug-in of kubectl), else "tortie". */
function calledAs(): string {
  const name = basename(process.argv[1] ?? "").replace(/\.js$/, "");
  return /^(calicoctl|kubectl-calico)$/.test(name) ? name : "tortie";
}

const fileOptions = (c: Command): Command =>
  c
    .option("-f, --filename <FILE>", "a file, - for standard input, or a directory")
    .option("-R, --recursive", "descend into directories")
    .option("--skip-empty", "do not fail when the files hold no resource");
const namespaceOption = (c: Command): Command => c.option("-n, --namespace <NAME>", "namespace of namespaced resources");

function addGet(root: Command, as: string): void {
  const c = fileOptions(namespaceOption(root.command("get").summary("print resources").description("Prints resources.")))
    .argument("[KIND]", "the kind of resource, such as node, felixconfiguration, ippool, clusterinformation")
    .argument("[NAMES...]", "only these")
    .option("-o, --output <FORMAT>", "ps, wide, yaml, json, name, custom-columns=HEADING,…, go-template=TEMPLATE or go-template-file=FILE")
    .option("-A, --all-namespaces", "of all namespaces")
    .addOption(new Option("-a, --all").hideHelp())
    .option("--export", "without what belongs to this cluster (uid, resourceVersion, times)");
  withExamples(c, [
    `${as} get nodes -o wide`,
    `${as} get felixconfiguration default -o yaml`,
    `${as} get ippools -o custom-columns=NAME,CIDR`,
    `${as} get nodes -o go-template='{{range .}}{{.metadata.name}} {{.spec.bgp.ipv4Address}}{{"\\n"}}{{end}}'`,
  ]);
  onAction(c, (kind: string | undefined, names: string[], flags: GetFlags & { all?: boolean }) =>
    during(c, (s) => get(kind === undefined ? [] : [kind, ...names], { ...flags, ...(flags.all ? { allNamespaces: true } : {}) }, s.backend)),
  );
}

const WRITES: readonly { verb: WriteVerb; summary: string; example: string }[] = [
  { verb: "create", summary: "create resources from a file", example: "create -f felix.yaml" },
  { verb: "apply", summary: "create resources from a file, or update those that are there", example: "apply -f felix.yaml" },
  { verb: "replace", summary: "replace resources from a file", example: "replace -f felix.yaml" },
  { verb: "delete", summary: "delete resources, by name or as in a file", example: "delete felixconfiguration node.k8s-w1" },
  { verb: "validate", summary: "check the resources of a file without asking a server", example: "validate -f felix.yaml" },
];

function addWrite(root: Command, as: string, { verb, summary, example }: (typeof WRITES)[number]): void {
  const c = fileOptions(
    namespaceOption(
      root
        .command(verb)
        .summary(summary)
        .description(`${summary[0]!.toUpperCase()}${summary.slice(1)}.`),
    ),
  );
  if (verb === "create") c.option("--skip-exists", "those that are there already are no failure");
  if (verb === "delete") c.argument("[KIND]").argument("[NAMES...]").option("-s, --skip-not-exists", "those that are not there are no failure");
  withExamples(c, [`${as} ${example}`, `cat felix.yaml | ${as} ${verb} -f -`]);
  const run = (kind: string | undefined, names: string[], flags: WriteFlags): Promise<number> =>
    during(c, async (s) => {
      if (kind !== undefined && flags.filename !== undefined) throw new TortieError(`Cannot ${verb}: a kind and -f FILE exclude each other`);
      if (kind === undefined && flags.filename === undefined)
        throw new TortieError(`Cannot ${verb}: -f FILE is missing`, { hint: `For example: ${as} ${example}` });
      if (kind !== undefined && names.length === 0) throw new TortieError(`Cannot ${verb}: the name of the ${kind} is missing`);
      if (kind !== undefined && names.includes("")) throw new TortieError("resource name may not be empty");
      return writeItems(verb, kind === undefined ? itemsOfFile(flags) : itemsOfNames(kind, names, flags.namespace), flags, s.backend);
    });
  if (verb === "delete") onAction(c, run);
  else onAction(c, (flags: WriteFlags) => run(undefined, [], flags));
}

function addPatch(root: Command, as: string): void {
  const c = namespaceOption(root.command("patch").summary("change fields of a resource").description("Changes fields of a resource."))
    .argument("<KIND>")
    .argument("<NAME>")
    .requiredOption("-p, --patch <JSON>", "what to change")
    .addOption(new Option("-t, --type <TYPE>", "how the patch is meant").choices(PATCH_TYPES).default("strategic"));
  withExamples(c, [
    `${as} patch felixconfiguration default --type=merge -p '{"spec":{"wireguardEnabled":true}}'`,
    `${as} patch ippool default-ipv4-ippool -t json -p '[{"op":"replace","path":"/spec/disabled","value":true}]'`,
  ]);
  onAction(c, (kind: string, name: string, flags: { patch: string; type: PatchType; namespace?: string }) =>
    during(c, async (s) => {
      const type = typeOf(kind);
      if (name === "") throw new TortieError("resource name may not be empty");
      inNamespace({ type, object: { apiVersion: "", kind: type.kind.kind, metadata: { name } } }, flags.namespace);
      await patchResource(await s.backend(), type, name, flags.patch, { type: flags.type, namespace: flags.namespace });
      process.stdout.write(`Successfully patched 1 '${type.kind.kind}' resource\n`);
      return 0;
    }),
  );
}

function addLabel(root: Command, as: string): void {
  const c = namespaceOption(root.command("label").summary("set or remove labels of a resource").description("Sets or removes labels of a resource."))
    .argument("<KIND>")
    .argument("<NAME>")
    .argument("<LABELS...>", "key=value, or key with --remove")
    .option("--overwrite", "change a label that has another value")
    .option("--remove", "remove these labels");
  withExamples(c, [`${as} label nodes k8s-w1 rack=b2`, `${as} label nodes k8s-w1 rack --remove`]);
  onAction(c, (kind: string, name: string, labels: string[], flags: LabelFlags) =>
    during(c, async (s) => labelResource(await s.backend(), typeOf(kind), kind, name, labels, flags)),
  );
}

function addConvert(root: Command, as: string): void {
  const c = root
    .command("convert")
    .summary("manifests of calicoctl v1 as resources of today")
    .description("Prints pools and nodes of apiVersion v1 as resources of projectcalico.org/v3.")
    .requiredOption("-f, --filename <FILE>", "a file, - for standard input, or a directory")
    .option("-o, --output <FORMAT>", "yaml or json", "yaml")
    .option("--ignore-validation", "print also what v3 does not take");
  withExamples(c, [`${as} convert -f pools-v1.yaml > pools.yaml`]);
  onAction(c, (flags: ConvertFlags) => printing(c, async () => (await import("./convert.ts")).convert(flags)));
}

function addVersion(root: Command): void {
  const c = root
    .command("version")
    .summary("versions of client and cluster")
    .option("--client", "only the client's")
    .option("--poll <DURATION>", "ask again and again, such as every 10s, and print what changes", "0s");
  onAction(c, (flags: { client?: boolean; poll: string }) => {
    const pollMs = pollInterval(flags.poll);
    return during(c, (s) => printVersion(flags.client ? undefined : s.client, pollMs));
  });
}

function commandLine(as: string): Command {
  const root = program(as, "Reads and writes the cluster's resources, as calicoctl does.", [
    `${as} get nodes -o wide`,
    `${as} patch felixconfiguration default --type=merge -p '{"spec":{"wireguardEnabled":true}}'`,
  ])
    .configureHelp({ showGlobalOptions: true })
    .option("-c, --config <FILE>", `connection settings (default: ${DEFAULT_CONFIG}, where it exists)`)
    .option("--kubeconfig <FILE>", "kubeconfig of the API server (also KUBECONFIG)")
    .option("--context <NAME>", "context of the kubeconfig")
    .option("-l, --log-level <LEVEL>", LOG_LEVELS.join(", "))
    .option("--allow-version-mismatch", "go on when client and cluster are of different versions");
  addGet(root, as);
  for (const w of WRITES) addWrite(root, as, w);
  addPatch(root, as);
  addLabel(root, as);
  addConvert(root, as);
  addIpam(root, as);
  addNode(root);
  addDatastore(root, as);
  addVersion(root);
  return root;
}

/** -o=yaml as pflag takes it: commander would take "=yaml" for the value. */
function words(args: readonly string[]): string[] {
  const end = args.indexOf("--");
  return args.flatMap((a, i) => (/^-[A-Za-z]=/.test(a) && (end < 0 || i < end) ? [a.slice(0, 2), a.slice(3)] : [a]));
}

/** What calicoctl says of flags and commands that it does not have. */
function usage(thrown: unknown, as: string): unknown {
  if (!(thrown instanceof TortieError) || !(thrown.cause instanceof CommanderError)) return thrown;
  const [, word = ""] = /'([^']*)'/.exec(thrown.cause.message) ?? [];
  const hint = `${as} --help lists what there is.`;
  if (thrown.cause.code === "commander.unknownOption")
    return new TortieError(word.startsWith("--") ? `unknown flag: ${word}` : `unknown shorthand flag: '${word.slice(1, 2)}' in ${word}`, { hint });
  if (thrown.cause.code === "commander.unknownCommand") return new TortieError(`unknown command "${word}" for "${as}"`, { hint });
  return thrown;
}

export async function main(args: string[]): Promise<number> {
  const as = calledAs();
  try {
    return await runProgram(commandLine(as), words(args));
  } catch (thrown) {
    throw usage(thrown, as);
  }
}
