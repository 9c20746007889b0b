// A port that nothing listens on, for what has to be told its port before it starts.
import { createServer } from 'node:net'

/** Of 127.0.0.1; it was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}
