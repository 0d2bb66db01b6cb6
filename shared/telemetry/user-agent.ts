import manifest from '../../package.json' with { type: 'json' }

/** How this process names itself to Google's services: `millrace-<entry>/<version>`. */
export function userAgent(entry: string): string {
  return `millrace-${entry}/${manifest.version}`
}
