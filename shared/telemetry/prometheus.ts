import type { Answer } from './pages.ts'

/** Prometheus's text form: https://prometheus.io/docs/instrumenting/exposition_formats/ */
const PROMETHEUS_TYPE = 'text/plain; version=0.0.4'

/** A page of values by name in Prometheus's text form, each name behind `prefix`; nested values have a label `name`. */
export function prometheusPage(
  prefix: string,
  values: Readonly<Record<string, unknown>>,
  isCounter: (name: string) => boolean,
): Answer {
  const families = Object.entries(values).map(([key, value]) => {
    const name = `${prefix}${key}`
    const samples =
      typeof value === 'object' && value !== null
        ? Object.entries(value).map(([label, number]) => `${name}{name="${label}"} ${number}\n`)
        : [`${name} ${String(value)}\n`]
    return `# TYPE ${name} ${isCounter(key) ? 'counter' : 'gauge'}\n${samples.join('')}`
  })
  return [200, families.join(''), PROMETHEUS_TYPE]
}
