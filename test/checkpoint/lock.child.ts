// Takes the lock of a state directory once it is told to on stdin, says what came of it, and holds it until it is killed.
import { once } from 'node:events'
import { acquireStateLock } from '../../src/checkpoint/lock.ts'
import { errorCode, errorMessage } from '../../src/core/errors.ts'

process.stdout.write('ready\n')
await once(process.stdin, 'data')
try {
  const lock = acquireStateLock(process.argv[2]!)
  process.stdout.write('held\n')
  await once(process.stdin, 'data')
  process.stdout.write(`${lock.isHeld() ? 'still held' : 'lost'}\n`)
} catch (error) {
  process.stdout.write(`${errorCode(error)} ${errorMessage(error)}\n`)
}
