// Where our dissection differs from tshark 4.0's, each with the reason. Everything else is equal: trees, fields, JSON, info texts (dissection.test.ts).

export type Difference = {
  /** Fields that only one side has, or that have other values there; a name that ends in "." stands for all below it. */
  readonly fields: readonly string[];
  /** Lines of the tree that they are. */
  readonly lines?: RegExp;
  readonly why: string;
};

/** Each field is needed by a capture of the test: one that no capture needs any more goes. */
export const DIFFERENCES: readonly Difference[] = [
  {
    fields: ["wg.timestamp.value"],
    lines: /^ +Timestamp: [A-Z][a-z]{2} /,
    why: "WireGuard's TAI64N counts from 2^62 + 10 s: Wireshark shows the sender's clock 10 s ahead",
  },
  {
    fields: ["wg.session.", "k8s"],
    lines:
      /^ +\[(Session|Way|Not opened|Tag verified|Padding behind the packet|mac2 verifies.*|Cookie): |^Cluster$|^ +\[(Pod|Node|Class of the audit): /,
    why: "fields of our own",
  },
  {
    fields: ["wg.response_in", "wg.response_to", "wg.stream"],
    lines: /^ +\[(Response in Frame|Response to Frame|Stream index): /,
    why: "sessions are told by keys and proof, not by address; the whole file is read before the first packet is shown, so an initiation knows its response",
  },
  {
    fields: ["tcp.analysis", "tcp.segment_data", "tcp.flags.syn_tree", "tcp.flags.fin_tree", "tcp.flags.str_tree"],
    lines:
      /^ +\[SEQ\/ACK|^ +\[(This is an ACK|The RTT|iRTT|Bytes |TCP Analysis|This is a TCP dup|Duplicate|The RTO|RTO |This frame|Expert Info|Connection|Severity|Group|Message|Retransmitted)|Retransmitted TCP segment|TCP segment data/,
    why: "no analysis of TCP (retransmissions, round trips); Wireshark's remarks (expert infos) only on WireGuard and comments",
  },
  {
    fields: ["ip.fragments", "ip.fragments_tree"],
    lines: /^ +\[(\d+ IPv[46] Fragments|Frame: \d+, payload|Fragment count|Reassembled IPv[46]|Fragment overlap)/,
    why: "the fragments that a packet was put together from are not listed; the packet itself is",
  },
  {
    fields: ["data", "http", "dns", "tls", "ssh", "frame.protocols", "_ws.short"],
    lines:
      /^Hypertext|^Domain Name|^Transport Layer Security|^Line-based|Data \(\d+ byte|^ *Data: |^ *\[Length: |\[Protocols in frame|^\[(Malformed|Packet size)|^ +(UDP|TCP) payload/,
    why: "what TCP and UDP carry beside WireGuard and overlays is data here: no HTTP, DNS, TLS",
  },
  {
    fields: ["eth.fcs", "eth.fcs."],
    lines: /^ +(Frame check sequence: |\[FCS Status: )/,
    why: "frame check sequences are not shown; tshark also guesses them from a trailer",
  },
  {
    fields: ["geneve.options_tree"],
    lines:
      /, Class: .*\((Non-c|C)ritical\)|^ {8,}(Class: |GCP |Unknown Option Data|Type: 0x)|Critical Option: |^ {12,}Length: \d+ bytes$|^ {12,}Flags: 0x00$|^ {12,}Reserved: (True|False)$/,
    why: "options of Geneve are bytes here",
  },
  {
    fields: ["eth.dst_resolved", "eth.src_resolved", "eth.addr_resolved", "eth.dst.oui_resolved", "eth.src.oui_resolved", "eth.addr.oui_resolved"],
    lines: /^Ethernet II|^ +(Destination|Source|Address|Sender MAC address|Target MAC address|Link-layer address): .*\([0-9a-f:]{17}\)$/,
    why: "no register of the makers of network cards",
  },
];

const isOf = (name: string, field: string): boolean => (field.endsWith(".") ? name.startsWith(field) : name === field);
export const isDifferentField = (name: string): boolean => DIFFERENCES.some((d) => d.fields.some((f) => isOf(name, f)));
export const isDifferentLine = (line: string): boolean => DIFFERENCES.some((d) => d.lines?.test(line));
