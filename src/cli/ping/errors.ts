// ICMP errors in iputils' words.

const UNREACHABLE4: readonly string[] = [
  "Destination Net Unreachable",
  "Destination Host Unreachable",
  "Destination Protocol Unreachable",
  "Destination Port Unreachable",
  "Frag needed and DF set",
  "Source Route Failed",
  "Destination Net Unknown",
  "Destination Host Unknown",
  "Source Host Isolated",
  "Destination Net Prohibited",
  "Destination Host Prohibited",
  "Destination Net Unreachable for Type of Service",
  "Destination Host Unreachable for Type of Service",
  "Packet filtered",
  "Precedence Violation",
  "Precedence Cutoff",
];
const UNREACHABLE6: readonly string[] = [
  "No route",
  "Administratively prohibited",
  "Beyond scope of source address",
  "Address unreachable",
  "Port unreachable",
  "Source address failed ingress/egress policy",
  "Reject route to destination",
];

export function errorWords(family: 4 | 6, type: number, code: number): string {
  if (family === 4) {
    if (type === 3) return UNREACHABLE4[code] ?? `Dest Unreachable, Bad Code: ${code}`;
    if (type === 11) return code === 0 ? "Time to live exceeded" : "Frag reassembly time exceeded";
    if (type === 5) return "Redirect";
    if (type === 4) return "Source Quench";
    return "Parameter problem";
  }
  if (type === 1) return `Destination unreachable: ${UNREACHABLE6[code] ?? `Unknown code ${code}`}`;
  if (type === 2) return "Packet too big";
  if (type === 3) return `Time exceeded: ${code === 0 ? "Hop limit" : "Defragmentation failure"}`;
  return "Parameter problem";
}
