/**
 * TCP ports for test servers: 20000–29999, claimed so that test processes running at once never share one.
 * A claim is an abstract Unix socket named after the port: the kernel makes it exclusive and drops it with the process.
 */
import { createServer, type Server } from 'node:net'

const FIRST = 20_000
const LAST = 29_999
const held: Server[] = []

/** Claims a free port on 127.0.0.1 until this process ends. */
export async function claimPort(): Promise<number> {
  return (await claimPorts(1))[0] as number
}

/** Claims `count` ports in a row until this process ends. */
export async function claimPorts(count: number): Promise<readonly number[]> {
  const span = LAST - FIRST + 2 - count
  const offset = Math.floor(Math.random() * span)
  for (let step = 0; step < span; step += count) {
    const first = FIRST + ((offset + step) % span)
    const ports = Array.from({ length: count }, (_, index) => first + index)
    if (await claimAll(ports)) return ports
  }
  throw new Error(`no ${count} free ports in a row between ${FIRST} and ${LAST}`)
}

async function claimAll(ports: readonly number[]): Promise<boolean> {
  const claims: Server[] = []
  for (const port of ports) {
    const claim = await listen({ path: `\0backstay-test-port-${port}` })
    if (claim !== undefined) claims.push(claim)
    if (claim === undefined || !(await isFree(port))) {
      for (const server of claims) server.close()
      return false
    }
  }
  held.push(...claims)
  return true
}

async function isFree(port: number): Promise<boolean> {
  const probe = await listen({ port, host: '127.0.0.1' })
  if (probe === undefined) return false
  await new Promise<void>((resolve) => void probe.close(() => resolve()))
  return true
}

function listen(
  where: { path: string } | { port: number; host: string },
): Promise<Server | undefined> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(undefined))
    server.listen({ ...where, exclusive: true }, () => resolve(server))
    server.unref()
  })
}
