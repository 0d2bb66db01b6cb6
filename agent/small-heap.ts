import { setFlagsFromString } from 'node:v8'

// How much V8 keeps for the agent, measured by `npm run bench -- agent`; to be imported before everything else.

/**
 * The space of young objects grows from 1 MiB to a hundred and more while the program is loaded or looks at a thousand files, and
 * is kept. The hot loop allocates nothing for a line: without that growth 10 MB less when idle, and the same CPU.
 */
setFlagsFromString('--semi-space-growth-factor=1')

/** By how much the old ones may grow between two collections: 40 MB less with 1,000 files that rotate, and the same CPU. */
setFlagsFromString('--heap-growing-percent=25')

/** A small buffer that is kept, such as the head of a source, keeps the slab that it was cut from: 64 KiB if left alone. */
Buffer.poolSize = 8 * 1024
