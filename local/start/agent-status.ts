/** What this run's agents published and uploaded. */
export interface AgentFigures {
  readonly published: number
  readonly chunks: number
}

const ANSWER_WITHIN_MS = 1_000

/** Asks the agent on its port; a restarted one counts from zero, so what its former lives said is added. */
export class AgentStatus {
  readonly #port: number
  #before: AgentFigures = { published: 0, chunks: 0 }
  #last: AgentFigures = { published: 0, chunks: 0 }

  constructor(port: number) {
    this.#port = port
  }

  async ask(): Promise<AgentFigures> {
    const now = await figuresOf(this.#port)
    if (now) {
      const isNewLife = now.published < this.#last.published || now.chunks < this.#last.chunks
      if (isNewLife) this.#before = sum(this.#before, this.#last)
      this.#last = now
    }
    return sum(this.#before, this.#last)
  }
}

function sum(a: AgentFigures, b: AgentFigures): AgentFigures {
  return { published: a.published + b.published, chunks: a.chunks + b.chunks }
}

/** Undefined while it does not answer. */
async function figuresOf(port: number): Promise<AgentFigures | undefined> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/metrics`, { signal: AbortSignal.timeout(ANSWER_WITHIN_MS) })
    const text = await response.text()
    return {
      published: metric(text, 'millrace_agent_events_total'),
      chunks: metric(text, 'millrace_agent_chunks_total'),
    }
  } catch {
    return undefined
  }
}

/** The sum of a Prometheus metric over its labels. */
function metric(text: string, name: string): number {
  const values = text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? ([0-9.e+]+)$`, 'gm'))
  return [...values].reduce((total, [, value]) => total + Number(value), 0)
}
