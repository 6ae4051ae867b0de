/** The value that a share `q` of the values are not above. */
export const quantile = (values: readonly number[], q: number): number =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * q))] ?? NaN;
export const median = (values: readonly number[]): number => quantile(values, 0.5);

/** "median (least .. most)"; of one value, itself. */
export function spread(values: readonly number[], digits: number): string {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  if (values.length === 1) return median(values).toFixed(digits);
  return `${median(values).toFixed(digits)} (${least.toFixed(digits)} .. ${most.toFixed(digits)})`;
}
