// Where the agent keeps things on its node. /run is memory: keys and pids are gone after a reboot, as they must be.

export const KEY_DIRECTORY = "/run/tortie/keys";
export const keyFile = (interfaceName: string): string => `${KEY_DIRECTORY}/${interfaceName}.key`;
export const devicePidFile = (interfaceName: string): string => `/run/tortie/devices/${interfaceName}.pid`;
export const deviceLogFile = (interfaceName: string): string => `/run/tortie/log/device-${interfaceName}`;
/** What the agent has made in the kernel and must take away again. */
export const LEDGER_FILE = "/run/tortie/ledger.json";
/** For the CNI plug-in, as Calico writes it. */
export const POD_MTU_FILE = "/var/lib/calico/mtu";
/** Holds the pid of the process that keeps a pod's namespaces. */
export const podPidFile = (namespace: string, pod: string): string => `/run/tortie/pods/${namespace}/${pod}.pid`;
/** What the pod's process wrote (podlog.ts has the format). */
export const podLogFile = (namespace: string, pod: string): string => `/run/tortie/pods/${namespace}/${pod}.log`;
