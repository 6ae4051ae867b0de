// What a ping counts and how iputils says it. Times in milliseconds.

export class PingStatistics {
  transmitted = 0;
  received = 0;
  duplicates = 0;
  errors = 0;
  #min = Infinity;
  #max = 0;
  #sum = 0;
  #squares = 0;
  #timed = 0;
  /** Most requests under way at once. */
  pipe = 0;
  /** Exponentially weighted average, an eighth for the newest. */
  #ewma = 0;
  readonly #answered = new Uint8Array(65_536);
  readonly #sentAt = new Float64Array(65_536);
  #first = 0;
  #last = 0;

  sent(sequence: number, at: number): void {
    if (this.transmitted === 0) this.#first = at;
    this.#last = at;
    this.transmitted++;
    this.#answered[sequence] = 0;
    this.#sentAt[sequence] = at;
    this.pipe = Math.max(this.pipe, this.transmitted - this.received);
  }

  /** Milliseconds of travel, and whether this reply came before; undefined when it answers nothing that was sent. */
  reply(sequence: number, at: number): { ms: number; duplicate: boolean } | undefined {
    const sentAt = this.#sentAt[sequence]!;
    if (sentAt === 0) return undefined;
    const ms = Math.max(0, Math.trunc((at - sentAt) * 1000) / 1000);
    this.#last = Math.max(this.#last, at);
    const duplicate = this.#answered[sequence] === 1;
    this.#answered[sequence] = 1;
    if (duplicate) this.duplicates++;
    else this.received++;
    this.#min = Math.min(this.#min, ms);
    this.#max = Math.max(this.#max, ms);
    this.#sum += ms;
    this.#squares += ms * ms;
    this.#ewma = this.#timed === 0 ? ms : this.#ewma + (ms - this.#ewma) / 8;
    this.#timed++;
    return { ms, duplicate };
  }

  error(): void {
    this.errors++;
  }

  get max(): number {
    return this.#max;
  }

  /** The same for programs; times in ms, null where nothing was timed. */
  json(timed: boolean): object {
    const { transmitted, received, duplicates, errors } = this;
    const loss = transmitted > 0 ? Number(general((100 * (transmitted - received)) / transmitted)) : 0;
    const { mean, deviation } = this.#spread();
    const ms = (v: number): number => Number(v.toFixed(3));
    const times = { min: ms(this.#min), avg: ms(mean), max: ms(this.#max), mdev: ms(deviation) };
    return { transmitted, received, duplicates, errors, lossPercent: loss, milliseconds: timed && this.#timed > 0 ? times : null };
  }

  #spread(): { mean: number; deviation: number } {
    const mean = this.#sum / this.#timed;
    return { mean, deviation: Math.sqrt(Math.max(0, this.#squares / this.#timed - mean * mean)) };
  }

  /** The lines at the end. `timed`: packets were large enough to be timed; `flood`: sent without an interval. */
  summary(name: string, timed: boolean, flood: boolean): string {
    const duplicates = this.duplicates > 0 ? `, +${this.duplicates} duplicates` : "";
    const errors = this.errors > 0 ? `, +${this.errors} errors` : "";
    const loss = this.transmitted > 0 ? `, ${general((100 * (this.transmitted - this.received)) / this.transmitted)}% packet loss` : "";
    const elapsed = Math.round(this.#last - this.#first);
    const lines = [
      "",
      `--- ${name} ping statistics ---`,
      `${this.transmitted} packets transmitted, ${this.received} received${duplicates}${errors}${loss}${this.transmitted > 0 ? `, time ${elapsed}ms` : ""}`,
    ];
    const pipe = this.pipe > 1 ? `, pipe ${this.pipe}` : "";
    if (this.#timed > 0 && timed) {
      const { mean, deviation } = this.#spread();
      const values = [this.#min, mean, this.#max, deviation].map((v) => v.toFixed(3)).join("/");
      const gap =
        flood && this.transmitted > 1
          ? `, ipg/ewma ${((this.#last - this.#first) / (this.transmitted - 1)).toFixed(3)}/${this.#ewma.toFixed(3)} ms`
          : "";
      lines.push(`rtt min/avg/max/mdev = ${values} ms${pipe}${gap}`);
    } else lines.push(pipe.slice(2));
    return `${lines.join("\n")}\n`;
  }
}

/** C's %g. */
export const general = (n: number): string => String(Number(n.toPrecision(6)));

/** "0.037", "1.23", "12.3", "123": iputils' time of a reply in milliseconds. */
export function travel(ms: number): string {
  const us = Math.trunc(ms * 1000);
  if (us >= 100_000) return String(Math.trunc(us / 1000));
  const digits = us >= 10_000 ? 1 : us >= 1000 ? 2 : 3;
  const scale = 10 ** (3 - digits);
  return (Math.trunc(us / scale) * (scale / 1000)).toFixed(digits);
}
