import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const OUTPUT_BYTES_MAX = 512 * 1024 * 1024

/**
 * All committed values of a topic in the order of their partitions and offsets, read by librdkafka's kcat: nothing of
 * ours has a part in it. Undefined where kcat is not installed.
 */
export async function consumeByKcat(brokers: string, topic: string): Promise<string[] | undefined> {
  const args = ['-b', brokers, '-C', '-t', topic, '-o', 'beginning', '-e', '-q', '-X', 'isolation.level=read_committed']
  try {
    const { stdout } = await promisify(execFile)('kcat', args, { maxBuffer: OUTPUT_BYTES_MAX })
    return stdout.split('\n').slice(0, -1)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
