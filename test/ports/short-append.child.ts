// Appends more than the limit on the size of files allows and prints the code of the error.
import { errorCode } from '../../src/core/errors.ts'
import { realFileSystem } from '../../src/ports/real-fs.ts'

const handle = await realFileSystem.writes.openAppend(process.argv[2]!, false)
try {
  await handle.append(Buffer.alloc(1500))
} catch (error) {
  process.stdout.write(errorCode(error))
}
