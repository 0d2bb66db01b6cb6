import { invalid } from './errors.ts'

/** A slice of a list with the token of the next one. The token is the index at which the next page begins. */
export function page<T>(
  items: readonly T[],
  token: string | null,
  limit: number,
): { items: T[]; next: string | undefined } {
  const start = startOf(token)
  const next = start + limit < items.length ? tokenOf(start + limit) : undefined
  return { items: items.slice(start, start + limit), next }
}

export function tokenOf(index: number): string {
  return Buffer.from(`at:${index}`).toString('base64url')
}

export function startOf(token: string | null): number {
  if (token === null || token === '') return 0
  const match = /^at:(\d{1,15})$/.exec(Buffer.from(token, 'base64url').toString())
  if (!match) throw invalid('Invalid page token.', 'pageToken')
  return Number(match[1])
}
