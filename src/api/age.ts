// Ages as Kubernetes prints them, so that tables made here and tables made by the server say the same.

/** "34s", "2m42s", "5m", "3h20m", "4d", "2y": two units while the first is small, as Kubernetes prints ages. */
export function age(ms: number): string {
  if (Number.isNaN(ms)) return "<invalid>";
  const s = Math.floor(ms / 1000);
  if (s < -1) return "<invalid>";
  if (s < 0) return "0s";
  const two = (a: number, ua: string, b: number, ub: string): string => (b > 0 ? `${a}${ua}${b}${ub}` : `${a}${ua}`);
  const [m, h, d, y] = [Math.floor(s / 60), Math.floor(s / 3600), Math.floor(s / 86_400), Math.floor(s / 31_536_000)];
  if (s < 120) return `${s}s`;
  if (m < 10) return two(m, "m", s % 60, "s");
  if (m < 180) return `${m}m`;
  if (h < 8) return two(h, "h", m % 60, "m");
  if (h < 48) return `${h}h`;
  if (d < 8) return two(d, "d", h % 24, "h");
  if (d < 730) return `${d}d`;
  if (y < 8) return two(y, "y", d % 365, "d");
  return `${y}y`;
}
