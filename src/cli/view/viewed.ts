// The capture that the viewer shows, with what only a terminal tells of it: its name, how far opening is, rates.
import { CaptureDocument, type DocumentOptions } from "../../capture/document.ts";
import type { KeyLog } from "../../capture/keylog.ts";
import type { Progress, Rates, World } from "./world.ts";

export class ViewedCapture extends CaptureDocument implements World {
  readonly name: string;
  progress: Progress | undefined;
  rates: Rates | undefined;
  dropped: number | undefined;

  /** Times that keys came. */
  changes = 0;

  constructor(name: string, options: DocumentOptions) {
    super(options);
    this.name = name;
  }
  override addKeys(log: KeyLog): void {
    super.addKeys(log);
    this.changes++;
  }
}
