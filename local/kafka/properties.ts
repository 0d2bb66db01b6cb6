import type { Ports } from './ports.ts'

/** An extra listener beside the plain one, for tests of authentication and encryption. */
export interface Listener {
  /** Name of the listener, upper case; its own properties are `listener.name.<lower case>.*`. */
  name: string
  protocol: 'PLAINTEXT' | 'SASL_PLAINTEXT' | 'SSL' | 'SASL_SSL'
}

/** Where the broker listens and keeps its data. */
export interface Place {
  logDir: string
  ports: Ports
  listeners: readonly Listener[]
  /** Address to bind: 127.0.0.1, or all of a container's own, whose ports are published on 127.0.0.1 only. */
  bind: '127.0.0.1' | '0.0.0.0'
}

/**
 * One node as broker and controller, small, quick to start. The internal topics have few partitions, because each costs
 * a file set and start-up time; nothing waits for members that will not come; a topic that nobody created is an error.
 */
const FIXED = {
  'process.roles': 'broker,controller',
  'node.id': '1',
  'controller.listener.names': 'CONTROLLER',
  'inter.broker.listener.name': 'PLAINTEXT',
  'offsets.topic.replication.factor': '1',
  'offsets.topic.num.partitions': '4',
  'transaction.state.log.replication.factor': '1',
  'transaction.state.log.min.isr': '1',
  'transaction.state.log.num.partitions': '4',
  'share.coordinator.state.topic.replication.factor': '1',
  'share.coordinator.state.topic.min.isr': '1',
  'group.initial.rebalance.delay.ms': '0',
  'auto.create.topics.enable': 'false',
  // After a kill the controller refuses the broker until its former life has timed out (9 s by default).
  'broker.session.timeout.ms': '3000',
  'broker.heartbeat.interval.ms': '1000',
  // No records that say nothing: they cost a third of the idle broker's work.
  'metadata.max.idle.interval.ms': '0',
  'num.network.threads': '2',
  'num.io.threads': '4',
  // The cleaner's buffer is allocated at start; the default of 128 MiB would not fit the small heap well.
  'log.cleaner.dedupe.buffer.size': '16777216',
} as const

/**
 * For a broker that nobody kills. A machine with other things to do may stop it for longer than the session above: then its
 * controller would take all partitions from it for a moment, and whoever uses it would see errors.
 */
export const PATIENT = { 'broker.session.timeout.ms': '30000' } as const

/** The text of server.properties. `extra` wins over every default. */
export function serverProperties(place: Place, extra: Readonly<Record<string, string>> = {}): string {
  const all = { ...FIXED, ...listenerProperties(place), 'log.dirs': place.logDir, ...extra }
  return `${Object.entries(all)
    .map(([key, value]) => `${key}=${escapeValue(value)}`)
    .join('\n')}\n`
}

function listenerProperties({ ports, listeners, bind }: Place): Record<string, string> {
  const named = [{ name: 'PLAINTEXT', protocol: 'PLAINTEXT' }, ...listeners].map((listener, i) => ({
    ...listener,
    port: i === 0 ? ports.plain : ports.extra[i - 1],
  }))
  return {
    'controller.quorum.voters': `1@127.0.0.1:${ports.controller}`,
    listeners: [
      ...named.map((l) => `${l.name}://${bind}:${l.port}`),
      `CONTROLLER://127.0.0.1:${ports.controller}`,
    ].join(','),
    'advertised.listeners': named.map((l) => `${l.name}://127.0.0.1:${l.port}`).join(','),
    'listener.security.protocol.map': [...named.map((l) => `${l.name}:${l.protocol}`), 'CONTROLLER:PLAINTEXT'].join(
      ',',
    ),
  }
}

/** Java's properties files end a value at a line break, take a backslash as an escape, and are ISO 8859-1. */
function escapeValue(value: string): string {
  const escaped = value.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
  return escaped.replaceAll(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
