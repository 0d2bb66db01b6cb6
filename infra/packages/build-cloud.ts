import { join } from 'node:path'
import { ROOT } from './bundle.ts'
import { stageCloud } from './cloud.ts'

/** `npm run build`: what is deployed to the cloud. */
const outDir = join(ROOT, 'dist', 'cloud')
stageCloud(outDir)
process.stdout.write(`${outDir}\n`)
