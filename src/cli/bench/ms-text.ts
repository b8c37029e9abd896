/** Lengths of time for people. Pure. @module */

/** Three digits at most, so that short and long times are both readable. Without the unit. */
export function msText(ms: number): string {
  return ms < 1 ? ms.toFixed(2) : ms < 100 ? ms.toFixed(1) : ms.toFixed(0);
}

/** `40 s`, `2 m 05 s` */
export function spanText(ms: number): string {
  const seconds = Math.ceil(ms / 1_000);
  if (seconds < 60) return `${seconds} s`;
  return `${Math.floor(seconds / 60)} m ${String(seconds % 60).padStart(2, '0')} s`;
}
