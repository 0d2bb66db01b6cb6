/** The content type of Prometheus's text form: https://prometheus.io/docs/instrumenting/exposition_formats/ */
export const PROMETHEUS_TYPE = 'text/plain; version=0.0.4'

/** Values by name in Prometheus's text form, each name behind `prefix`; nested values have a label `name`. */
export function prometheusText(
  prefix: string,
  values: Readonly<Record<string, unknown>>,
  isCounter: (name: string) => boolean,
): string {
  const families = Object.entries(values).map(([key, value]) => {
    const name = `${prefix}${key}`
    const samples =
      typeof value === 'object' && value !== null
        ? Object.entries(value).map(([label, number]) => `${name}{name="${label}"} ${number}\n`)
        : [`${name} ${String(value)}\n`]
    return `# TYPE ${name} ${isCounter(key) ? 'counter' : 'gauge'}\n${samples.join('')}`
  })
  return families.join('')
}
