// What the lab and its members see of the file system: the machine's own, with some directories replaced by private memory. Shell text, because it runs
// before any program of ours, in each new mount namespace.
import { NODE_KUBECONFIG } from "./enter.ts";
import { dirname } from "node:path";

/** Name of the environment variable with the paths, one a line, that stay visible below a replaced directory (this program itself may lie there). */
export const KEEP = "TORTIE_KEEP";

// An empty memory file system is filled at a place where it hides nothing that is still needed, then moved. -n: no note of it under /run/mount.
const HIDE = `hide() {
  mount -n -t tmpfs -o mode=755,size="$3" tortie "$2"
  printf '%s\\n' "$${KEEP}" | while IFS= read -r kept; do
    case "$kept" in "$1"/*) ;; *) continue;; esac
    [ -d "$kept" ] || continue
    mkdir -p "$2\${kept#"$1"}"
    mount -n --bind "$kept" "$2\${kept#"$1"}"
  done
  mount -n --move "$2" "$1"
}`;

const CALICO = dirname(NODE_KUBECONFIG);

/** For the lab as a whole. /etc becomes a copy, so that it can hold mount points and names without a trace on the machine. */
export const labMounts = (hosts: readonly { readonly name: string; readonly address: string }[]): string => `${HIDE}
hide /run /var/lib 512m
mount -n -t sysfs sysfs /sys
mkdir -p /run/tortie/log /run/tortie/etc
cp -a /etc/. /run/tortie/etc/ 2>/dev/null || :
mkdir -p /run/tortie/etc${CALICO.slice("/etc".length)}
printf '\\n%s\\n' ${hosts.map((h) => `'${h.address} ${h.name}'`).join(" ")} >>/run/tortie/etc/hosts
mount -n --bind /run/tortie/etc /etc`;

/** In a node or pod: a named pipe, the output of the process that holds it. A pod's is its log. */
export const OUTPUT = "/run/stdout";

/** For a node or pod: a /run, /var/lib and /etc/calico of its own, and its own network in /sys. Says "ready", then holds the namespaces. */
export const MEMBER: string = `${HIDE}
hide /run /var/lib 64m
hide /var/lib /run/tortie 256m
hide ${CALICO} /run/tortie 16m
mount -n -t sysfs sysfs /sys
printf %s "$1" >/proc/sys/kernel/hostname
mkfifo ${OUTPUT}
echo ready
exec sleep infinity 1<>${OUTPUT} 2>&1`;
