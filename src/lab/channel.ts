// What the supervisor inside the lab and the command that started it say to each other: JSON lines over the supervisor's standard input and output.

/** To the supervisor. Without `keep` the lab ends with the command: that is when its standard input ends. */
export type Order = { readonly keep: true };
/** From the supervisor. */
export type Report =
  | { readonly stage: string; readonly ms: number }
  | { readonly ready: true; readonly ms: number }
  | { readonly failed: string; readonly hint: string };

export const encode = (message: Order | Report): string => `${JSON.stringify(message)}\n`;

/** Cuts a stream of text into lines and gives each as a message. */
export function decoder<T>(take: (message: T) => void): (chunk: string) => void {
  let rest = "";
  return (chunk) => {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop()!;
    for (const line of lines) if (line !== "") take(JSON.parse(line) as T);
  };
}
