import { join } from 'node:path'
import { bundleAgent, ROOT } from './bundle.ts'

/** `npm run build:agent`: the agent as one file. */
const { file, bytes, version } = await bundleAgent({ outDir: join(ROOT, 'dist', 'packages') })
process.stdout.write(`${file}: ${(bytes / 1e6).toFixed(2)} MB, version ${version}\n`)
