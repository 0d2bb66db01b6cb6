import { createClock, createFaults, createRecorder, startFaultsServer } from '../../local/faults/index.ts'
import { type DeliveryTarget, startStorage } from '../../local/storage/index.ts'

/** The local Cloud Storage as a process of its own, for tests that kill it: `storage-serve.ts DATA_DIR PORT [TARGETS]`. */

const [dataDir, port, targets = '[]'] = process.argv.slice(2)
if (dataDir === undefined || port === undefined) throw new Error('storage-serve.ts DATA_DIR PORT')

const parts = { clock: createClock(), faults: createFaults(), recorder: createRecorder() }
const deliveries = JSON.parse(targets) as DeliveryTarget[]
const storage = await startStorage({ ...parts, dataDir, port: Number(port), limitUpdates: false, deliveries })
const faults = await startFaultsServer(parts)
process.stdout.write(`${JSON.stringify({ endpoint: storage.endpoint, faults: faults.endpoint })}\n`)

// The end of its input is the end of the test, however that ends.
process.stdin.resume()
process.stdin.on('end', () => process.exit(0))
