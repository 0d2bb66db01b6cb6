import { existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Broker } from './broker.ts'
import type { Jars } from './jars.ts'
import type { Java } from './java.ts'
import { freePorts } from './ports.ts'
import type { Runtime } from './runtime.ts'

/**
 * Flags that make the JVM map the broker's classes from an archive rather than parse them: half the start-up time.
 * The archive is written once for each Java, by a broker of its own that starts and stops. It is an optimisation
 * only: when it cannot be written the broker starts without, and a stale one is ignored by the JVM.
 */
export async function archiveFlags(
  java: Java,
  jars: Jars,
  options: { say: (line: string) => void },
  runtime: (flags: readonly string[]) => Runtime,
): Promise<string[]> {
  const file = join(jars.dir, `classes-${java.identity}.jsa`)
  if (!existsSync(file)) {
    options.say('Kafka: writing a class archive for a quick start (5 s, once)')
    await writeArchive(file, runtime)
  }
  return existsSync(file) ? [`-XX:SharedArchiveFile=${file}`, '-Xlog:cds=off', '-Xlog:cds+dynamic=off'] : []
}

async function writeArchive(file: string, runtime: (flags: readonly string[]) => Runtime): Promise<void> {
  const dataDir = mkdtempSync(join(tmpdir(), 'millrace-kafka-'))
  const fresh = `${file}.${process.pid}`
  try {
    const ports = await freePorts(0)
    const broker = new Broker({ runtime: runtime([`-XX:ArchiveClassesAtExit=${fresh}`]), dataDir, ports })
    await broker.start()
    await broker.stop()
    if (existsSync(fresh)) renameSync(fresh, file)
  } finally {
    rmSync(dataDir, { recursive: true, force: true })
  }
}
