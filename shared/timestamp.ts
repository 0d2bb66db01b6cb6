/** Microseconds since 1970 as `2026-01-02T03:04:05.678901Z`; years beyond 2255 need more than a double. */
export function timestampOf(micros: string): string {
  const total = BigInt(micros)
  const fraction = ((total % 1_000_000n) + 1_000_000n) % 1_000_000n
  const seconds = new Date(Number((total - fraction) / 1000n)).toISOString().slice(0, -5)
  return `${seconds}.${String(fraction).padStart(6, '0')}Z`
}
