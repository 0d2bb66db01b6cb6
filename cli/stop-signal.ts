/** Aborted at the first SIGINT or SIGTERM: finish what is under way. A second one ends the process as it would by itself. */
export function stopSignal(): AbortSignal {
  const stop = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort(name))
  return stop.signal
}
