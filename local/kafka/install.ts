import { UserError } from '../../shared/errors.ts'
import { findRuntime } from './find-runtime.ts'

// Run by local/setup after the packages: fetches what a broker needs while there is network. A machine without a way
// to run Kafka is told so, and is no failure here: whoever needs the broker fails with the same words.
const say = (line: string) => process.stderr.write(`${line}\n`)

try {
  if (!process.env['KAFKA_BROKERS']) await findRuntime({ env: process.env, say })
} catch (error) {
  if (!(error instanceof UserError)) throw error
  say(`Kafka: ${error.message}`)
  if (error.fix !== undefined) say(`fix: ${error.fix}`)
}
