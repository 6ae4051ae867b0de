// Where a capture goes that may be of several link types: the file that was asked for, and one more beside it for each further link type.
import type { Sink } from "../../capture/writer.ts";
import { OutputFile } from "./output.ts";

export class OutputFiles {
  readonly #path: string;
  readonly #files: OutputFile[] = [];
  readonly #paths: string[] = [];

  constructor(path: string) {
    this.#path = path;
  }

  /** On standard output all goes into one file. */
  get together(): boolean {
    return this.#path === "-";
  }

  /** For a ByLink. Throws TortieError. */
  readonly open = (suffix: string): Sink => {
    const path = suffixed(this.#path, suffix);
    const file = new OutputFile(path);
    this.#files.push(file);
    this.#paths.push(path);
    return file.write;
  };

  /** Names of the files beside the one that was asked for. */
  get more(): string[] {
    return this.#paths.slice(1);
  }

  close(): void {
    for (const file of this.#files) file.close();
  }
}

/** The suffix goes before the extension: capture-raw.pcapng. */
export const suffixed = (path: string, suffix: string): string => path.replace(/(\.[^./]*)?$/, (extension) => suffix + extension);
