// Ages as kubectl prints them: the two largest units that matter. Source: the Kubernetes convention (90s, 5m3s, 12m, 2h5m, 3d4h, 40d, 2y10d).

/** "34s", "2m42s", "5h", "3d4h"; "<unknown>" for an empty or malformed time. */
export function ageOf(time: string, now: number): string {
  const seconds = Math.floor((now - Date.parse(time)) / 1000);
  if (Number.isNaN(seconds)) return "<unknown>";
  if (seconds < 0) return "0s";
  const [minutes, hours, days] = [Math.floor(seconds / 60), Math.floor(seconds / 3600), Math.floor(seconds / 86400)];
  const two = (a: number, unit: string, b: number, small: string): string => (b === 0 ? `${a}${unit}` : `${a}${unit}${b}${small}`);
  if (seconds < 120) return `${seconds}s`;
  if (minutes < 10) return two(minutes, "m", seconds % 60, "s");
  if (hours < 3) return `${minutes}m`;
  if (hours < 8) return two(hours, "h", minutes % 60, "m");
  if (hours < 48) return `${hours}h`;
  if (days < 8) return two(days, "d", hours % 24, "h");
  if (days < 730) return `${days}d`;
  const years = Math.floor(days / 365);
  return years < 8 ? two(years, "y", days % 365, "d") : `${years}y`;
}
