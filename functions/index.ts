import { http } from '@google-cloud/functions-framework'
import { backfillFunction } from './backfill/index.ts'
import { chunkLoad } from './chunk-load/index.ts'
import { kafkaDrain } from './kafka-drain/index.ts'
import { hideTypes, kafkaPush } from './kafka-push/index.ts'

// What runs in the cloud: each is deployed by its name (FUNCTION_TARGET). The worker is a process, not a function.
http('chunk-load', chunkLoad)
http('kafka-drain', kafkaDrain)
http('kafka-push', kafkaPush)
http('backfill', backfillFunction)

const words = [process.env['FUNCTION_TARGET'] ?? '', ...process.argv]
if (words.some((word) => /^(--target=)?kafka-push$/.test(word))) hideTypes()
