// Words for a person.

/** "1 packet", "2 packets". */
export const many = (n: number, what: string): string => `${n} ${what}${n === 1 ? "" : "s"}`;
