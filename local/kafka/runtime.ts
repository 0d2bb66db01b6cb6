import type { Command } from './command.ts'
import type { Ports } from './ports.ts'

/** A way to run Kafka's programs on this machine. */
export interface Runtime {
  /** For people: `Kafka 4.1.2 on Java 17`. */
  readonly name: string
  /** Address to bind, see Place. */
  readonly bind: '127.0.0.1' | '0.0.0.0'
  /** Name of the container to remove when the broker must go; empty without Docker. */
  container(dataDir: string): string
  format(propertiesFile: string, dataDir: string, args: readonly string[]): Command
  broker(propertiesFile: string, dataDir: string, ports: Ports, javaOptions: readonly string[]): Command
}
