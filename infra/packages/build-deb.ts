import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { ROOT } from './bundle.ts'
import { buildDeb } from './deb.ts'

/** `npm run build:deb`: the Debian package of the agent. `-- --version 1.2.3` gives it another version than package.json's. */
const { version } = parseArgs({ options: { version: { type: 'string' } } }).values
const { file, bytes } = await buildDeb({ outDir: join(ROOT, 'dist', 'packages'), ...(version ? { version } : {}) })
process.stdout.write(`${file}: ${(bytes / 1e6).toFixed(1)} MB\n`)
