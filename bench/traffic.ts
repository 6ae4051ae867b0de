// What is measured on a link that carries packets: iperf3 and ping, and what the devices at its ends used meanwhile.
import { eventually } from "../test/device/host.ts";
import type { FigureName, Sample } from "./figures.ts";
import { cpuSeconds, peakMb, switches } from "./processes.ts";
import { median, quantile } from "./statistics.ts";
import type { Link } from "./subjects.ts";

type Sum = { bytes: number; bits_per_second: number; seconds: number; packets?: number; lost_packets?: number; retransmits?: number };
type Report = { end: { sum_sent: Sum; sum_received: Sum; cpu_utilization_percent: { host_total: number; remote_total: number } } };
type Measured = { readonly report: Report; readonly cpu: number; readonly switches: number };

/** One run of iperf3 from a to b, and what the devices used during it. */
export async function iperf(link: Link, seconds: number, ...words: string[]): Promise<Measured> {
  const server = link.b.spawn(["iperf3", "-s", "-1"]);
  try {
    await eventually(() => {
      if (server.child.exitCode !== null || !link.b.run("ss", "-Hltn").includes(":5201"))
        throw new Error(`iperf3 does not listen: ${server.output()}`);
    });
    const before = { cpu: cpuSeconds(link.pids), switches: switches(link.pids) };
    const text = await link.a.runAsync("iperf3", "-c", link.target, "-t", String(seconds), "-J", ...words);
    return { report: JSON.parse(text) as Report, cpu: cpuSeconds(link.pids) - before.cpu, switches: switches(link.pids) - before.switches };
  } finally {
    if (server.child.exitCode === null) server.child.kill();
    await server.exit;
  }
}

/** What iperf3 is told for each load. UDP: as fast as it can send. */
export const LOADS = {
  tcp1: [],
  tcp4: ["-P", "4"],
  tcpr: ["-R"],
  udp1380: ["-u", "-b", "0", "-l", "1380"],
  udp64: ["-u", "-b", "0", "-l", "64"],
} as const satisfies Record<string, readonly string[]>;

/** Processor seconds of iperf3 itself, client and server. */
const ownCpu = ({ end }: Report): number =>
  ((end.cpu_utilization_percent.host_total + end.cpu_utilization_percent.remote_total) / 100) * end.sum_sent.seconds;

async function tcp(name: "tcp1" | "tcp4" | "tcpr", link: Link, seconds: number): Promise<Sample> {
  const { report, cpu, switches: switched } = await iperf(link, seconds, ...LOADS[name]);
  const { sum_received: received, sum_sent: sent } = report.end;
  const gb = received.bytes / 1e9;
  return {
    [`${name}.gbit`]: received.bits_per_second / 1e9,
    ...(link.pids.length > 0 && { [`${name}.cpu`]: cpu / gb, [`${name}.switches`]: switched / sent.seconds }),
    [`${name}.iperf`]: ownCpu(report) / gb,
    [`${name}.retransmits`]: sent.retransmits ?? NaN,
  } satisfies { [K in FigureName]?: number };
}

/** What counts is what arrived. */
async function udp(size: 64 | 1380, link: Link, seconds: number): Promise<Sample> {
  const { report, cpu } = await iperf(link, seconds, ...LOADS[`udp${size}`]);
  const { sum_received: received } = report.end;
  const gb = received.bytes / 1e9;
  return {
    [`udp${size}.gbit`]: received.bits_per_second / 1e9,
    [`udp${size}.kpps`]: received.bytes / size / received.seconds / 1e3,
    [`udp${size}.loss`]: (100 * received.lost_packets!) / received.packets!,
    ...(link.pids.length > 0 && { [`udp${size}.cpu`]: cpu / gb }),
    [`udp${size}.iperf`]: ownCpu(report) / gb,
  } satisfies { [K in FigureName]?: number };
}

/** Round trips in ms, one for each that was answered, and the share lost. */
async function pings(link: Link, count: number, interval: number): Promise<{ times: number[]; lost: number }> {
  const text = await link.a.runAsync("ping", "-n", "-i", String(interval), "-c", String(count), "-W", "1", link.target);
  const times = [...text.matchAll(/ time=([0-9.]+) ms/g)].map((m) => Number(m[1]));
  return { times, lost: 1 - times.length / count };
}

async function pingIdle(link: Link): Promise<Sample> {
  const { times } = await pings(link, 1000, 0.002);
  return { "ping.median": median(times), "ping.p99": quantile(times, 0.99) };
}

async function pingUnderLoad(link: Link, seconds: number): Promise<Sample> {
  const interval = 0.005;
  const load = iperf(link, seconds + 0.5);
  load.catch(() => {}); // it is awaited below
  await new Promise((r) => setTimeout(r, 500));
  const { times, lost } = await pings(link, Math.floor((seconds * 0.8) / interval), interval);
  await load;
  return { "pingload.median": median(times), "pingload.p99": quantile(times, 0.99), "pingload.loss": 100 * lost };
}

/** In this order: the last is the most that all before it made resident. */
export const TRAFFIC: Readonly<Record<string, (link: Link, seconds: number) => Promise<Sample>>> = {
  tcp1: (link, seconds) => tcp("tcp1", link, seconds),
  tcp4: (link, seconds) => tcp("tcp4", link, seconds),
  tcpr: (link, seconds) => tcp("tcpr", link, seconds),
  udp1380: (link, seconds) => udp(1380, link, seconds),
  udp64: (link, seconds) => udp(64, link, seconds),
  ping: (link) => pingIdle(link),
  pingload: pingUnderLoad,
  memory: async (link) => (link.pids.length === 0 ? {} : { "memory.peak": Math.max(...link.pids.map(peakMb)) }),
};
