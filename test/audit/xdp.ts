// The smallest XDP program there is, `return XDP_PASS;`, as an object file for `ip link set … xdp`: an ELF relocatable for BPF, made by hand because no
// compiler is asked for.

const SECTIONS = ["", "xdp", "license", ".shstrtab", ".symtab", ".strtab"] as const;
const HEADER = 64;
const SECTION_HEADER = 64;
const SYMBOL = 24;
const PROGBITS = 1;
const SYMTAB = 2;
const STRTAB = 3;

export function programElf(): Buffer {
  // r0 = 2 (XDP_PASS); exit
  const code = Buffer.from("b700000002000000" + "9500000000000000", "hex");
  const license = Buffer.from("GPL\0");
  const names = Buffer.from(`${SECTIONS.join("\0")}\0`);
  const strings = Buffer.from("\0pass\0");
  const symbols = Buffer.alloc(2 * SYMBOL);
  symbols.writeUInt32LE(1, SYMBOL); // "pass"
  symbols.writeUInt8(0x12, SYMBOL + 4); // a global function
  symbols.writeUInt16LE(1, SYMBOL + 6); // in section 1
  symbols.writeBigUInt64LE(BigInt(code.length), SYMBOL + 16);
  const bodies = [Buffer.alloc(0), code, license, names, symbols, strings];
  const types = [0, PROGBITS, PROGBITS, STRTAB, SYMTAB, STRTAB];
  let at = HEADER;
  const places = bodies.map((b) => {
    const place = at;
    at += Math.ceil(b.length / 8) * 8;
    return place;
  });
  const out = Buffer.alloc(at + SECTIONS.length * SECTION_HEADER);
  Buffer.from("7f454c46020101", "hex").copy(out);
  out.writeUInt16LE(1, 16); // relocatable
  out.writeUInt16LE(247, 18); // BPF
  out.writeUInt32LE(1, 20);
  out.writeBigUInt64LE(BigInt(at), 40);
  out.writeUInt16LE(HEADER, 52);
  out.writeUInt16LE(SECTION_HEADER, 58);
  out.writeUInt16LE(SECTIONS.length, 60);
  out.writeUInt16LE(3, 62); // names are in section 3
  let name = 0;
  bodies.forEach((body, i) => {
    body.copy(out, places[i]);
    const h = at + i * SECTION_HEADER;
    out.writeUInt32LE(i === 0 ? 0 : name, h);
    name += SECTIONS[i]!.length + 1;
    out.writeUInt32LE(types[i]!, h + 4);
    out.writeBigUInt64LE(i === 1 ? 6n : 0n, h + 8); // code is allocated and may be executed
    out.writeBigUInt64LE(BigInt(i === 0 ? 0 : places[i]!), h + 24);
    out.writeBigUInt64LE(BigInt(body.length), h + 32);
    if (types[i] === SYMTAB) {
      out.writeUInt32LE(5, h + 40);
      out.writeUInt32LE(1, h + 44);
      out.writeBigUInt64LE(BigInt(SYMBOL), h + 56);
    }
    out.writeBigUInt64LE(i === 0 ? 0n : 8n, h + 48);
  });
  return out;
}
