/** What the agent says of itself on its port; zeros while it does not answer. */
export interface AgentFigures {
  /** Events published and chunks uploaded since it was started. */
  readonly published: number
  readonly chunks: number
}

const ANSWER_WITHIN_MS = 1_000

export async function askAgent(port: number): Promise<AgentFigures> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/metrics`, { signal: AbortSignal.timeout(ANSWER_WITHIN_MS) })
    const text = await response.text()
    return {
      published: metric(text, 'millrace_agent_events_total'),
      chunks: metric(text, 'millrace_agent_chunks_total'),
    }
  } catch {
    return { published: 0, chunks: 0 }
  }
}

/** The sum of a Prometheus metric over its labels. */
function metric(text: string, name: string): number {
  const values = text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? ([0-9.e+]+)$`, 'gm'))
  return [...values].reduce((sum, [, value]) => sum + Number(value), 0)
}
