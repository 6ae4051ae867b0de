// The figures: what each is called, which way is better, and what was promised of it.

export type Figure = {
  readonly title: string;
  readonly digits: number;
  readonly better: "more" | "less";
  /** Against the current wireguard-go in the same run: what must be, and what is wanted. */
  readonly goal?: { readonly must: number; readonly want: number };
};

const FASTER = { better: "more", goal: { must: 1.5, want: 2 } } as const;
const CHEAPER = { better: "less", goal: { must: 0.67, want: 0.5 } } as const;
const PROMPTER = { better: "less", goal: { must: 1, want: 0.7 } } as const;

export const FIGURES = {
  "tcp1.gbit": { title: "TCP, 1 flow, Gbit/s", digits: 2, ...FASTER },
  "tcp1.cpu": { title: "… CPU s per GB, both ends", digits: 2, ...CHEAPER },
  "tcp1.iperf": { title: "… CPU s per GB of iperf3 itself", digits: 2, better: "less" },
  "tcp1.retransmits": { title: "… retransmits", digits: 0, better: "less" },
  "tcp1.switches": { title: "… context switches/s, both ends", digits: 0, better: "less" },
  "tcp4.gbit": { title: "TCP, 4 flows, Gbit/s", digits: 2, ...FASTER },
  "tcp4.cpu": { title: "… CPU s per GB, both ends", digits: 2, better: "less" },
  "tcp4.iperf": { title: "… CPU s per GB of iperf3 itself", digits: 2, better: "less" },
  "tcp4.retransmits": { title: "… retransmits", digits: 0, better: "less" },
  "tcp4.switches": { title: "… context switches/s, both ends", digits: 0, better: "less" },
  "tcpr.gbit": { title: "TCP, reverse, Gbit/s", digits: 2, better: "more" },
  "tcpr.cpu": { title: "… CPU s per GB, both ends", digits: 2, better: "less" },
  "tcpr.iperf": { title: "… CPU s per GB of iperf3 itself", digits: 2, better: "less" },
  "tcpr.retransmits": { title: "… retransmits", digits: 0, better: "less" },
  "tcpr.switches": { title: "… context switches/s, both ends", digits: 0, better: "less" },
  "udp1380.gbit": { title: "UDP received, 1380 bytes, Gbit/s", digits: 2, ...FASTER },
  "udp1380.kpps": { title: "… 1,000 packets/s", digits: 1, better: "more" },
  "udp1380.loss": { title: "… lost of what was sent, %", digits: 0, better: "less" },
  "udp1380.cpu": { title: "… CPU s per GB received, both ends", digits: 2, ...CHEAPER },
  "udp1380.iperf": { title: "… CPU s per GB of iperf3 itself", digits: 2, better: "less" },
  "udp64.kpps": { title: "UDP received, 64 bytes, 1,000 packets/s", digits: 1, ...FASTER },
  "udp64.gbit": { title: "… Gbit/s", digits: 3, better: "more" },
  "udp64.loss": { title: "… lost of what was sent, %", digits: 0, better: "less" },
  "udp64.cpu": { title: "… CPU s per GB received, both ends", digits: 1, better: "less" },
  "udp64.iperf": { title: "… CPU s per GB of iperf3 itself", digits: 1, better: "less" },
  "ping.median": { title: "ping, idle: median, ms", digits: 3, ...PROMPTER },
  "ping.p99": { title: "… 99th percentile, ms", digits: 3, better: "less" },
  "pingload.median": { title: "ping under one TCP flow: median, ms", digits: 3, ...PROMPTER },
  "pingload.p99": { title: "… 99th percentile, ms", digits: 3, better: "less" },
  "pingload.loss": { title: "… lost, %", digits: 1, better: "less" },
  "memory.peak": { title: "resident memory under all of that, peak of an end, MiB", digits: 0, better: "less", goal: { must: 0.5, want: 0.33 } },
  "handshakes.rate": { title: "handshakes answered/s", digits: 0, better: "more" },
  "handshakes.cpu": { title: "… CPU µs of the device each", digits: 0, better: "less" },
  "handshakes.unanswered": { title: "… unanswered, of 8,192", digits: 0, better: "less" },
  "start.ms": { title: "start until the control socket answers, ms", digits: 0, better: "less" },
  "idle.resident": { title: "resident memory without a peer, MiB", digits: 0, better: "less" },
  "idle.peer": { title: "… of each of 4,096 idle peers, KiB", digits: 2, better: "less" },
  "idle.show": { title: "`wg show` of 4,096 peers, ms", digits: 0, better: "less" },
} as const satisfies Record<string, Figure>;

export type FigureName = keyof typeof FIGURES;
/** What one measurement of one subject gave. */
export type Sample = Partial<Record<FigureName, number>>;

export type Verdict = "want met" | "must met, want missed" | "must missed";
/** What was promised against what it is; `ratio` is ours over the other's. */
export function verdict(name: FigureName, ratio: number): Verdict | undefined {
  const { goal, better }: Figure = FIGURES[name];
  if (!goal || Number.isNaN(ratio)) return undefined;
  const meets = (limit: number): boolean => (better === "more" ? ratio >= limit : ratio <= limit);
  return meets(goal.want) ? "want met" : meets(goal.must) ? "must met, want missed" : "must missed";
}
