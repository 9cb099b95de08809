/**
 * Who listens on a TCP port of a host, for «port in use» messages. Uses ss(8), else /proc.
 */
import type { Host } from './host.ts'

/** The kernel's own tables: 150 bytes for each connection of the machine. */
const SOCKETS_BYTES = 256 * 1024 * 1024

/**
 * A listening socket. Pid and program are undefined where the driver's user may not see whose it
 * is.
 */
export interface PortOwner {
  /** For example `127.0.0.1`, `::`, `*`. */
  readonly address: string
  readonly pid: number | undefined
  readonly program: string | undefined
}

/** Who listens on `port`, on any address; empty when nobody does. */
export async function findPortOwners(host: Host, port: number): Promise<readonly PortOwner[]> {
  const result = await host
    .run(['ss', '-H', '-l', '-t', '-n', '-p', `sport = :${port}`])
    .catch(() => undefined)
  if (result?.exitCode === 0) return parseSs(result.stdout)
  return portOwnersFromProc(host, port)
}

/** One phrase for messages: `"postgres" (pid 123) on 127.0.0.1`. */
export function describePortOwner(owner: PortOwner): string {
  const program =
    owner.program === undefined ? 'a program of another OS user' : `"${owner.program}"`
  const pid = owner.pid === undefined ? '' : ` (pid ${owner.pid})`
  return `${program}${pid} on ${owner.address}`
}

/**
 * Reads `ss -H -ltnp`: `LISTEN 0 128 127.0.0.1:5432 0.0.0.0:* users:(("postgres",pid=12,fd=7))`.
 */
export function parseSs(output: string): readonly PortOwner[] {
  return output.split('\n').flatMap((line) => {
    const local = /^LISTEN\s+\d+\s+\d+\s+(\S+):\d+\s/.exec(line)?.[1]
    if (local === undefined) return []
    const user = /users:\(\("((?:[^"\\]|\\.)*)",pid=(\d+)/.exec(line)
    return [
      {
        address: local.replace(/^\[(.*)\]$/, '$1'),
        pid: user?.[2] === undefined ? undefined : Number(user[2]),
        program: user?.[1],
      },
    ]
  })
}

/** A listening socket in /proc/net/tcp or tcp6. */
interface ProcSocket {
  readonly address: string
  readonly inode: string
}

/**
 * Reads the listening sockets on `port` out of /proc/net/tcp and tcp6 (proc(5); state 0A is
 * LISTEN).
 */
export function parseProcNet(text: string, port: number): readonly ProcSocket[] {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  return text.split('\n').flatMap((line) => {
    const [, local, , state, , , , , , inode] = line.trim().split(/\s+/)
    if (local?.endsWith(suffix) !== true || state !== '0A' || inode === undefined) return []
    return [{ address: addressOf(local.slice(0, -suffix.length)), inode }]
  })
}

/** The same without ss, where that is not installed. */
export async function portOwnersFromProc(host: Host, port: number): Promise<readonly PortOwner[]> {
  const tables = await Promise.all(
    ['/proc/net/tcp', '/proc/net/tcp6'].map((path) => host.readFile(path, SOCKETS_BYTES)),
  )
  const sockets = parseProcNet(tables.map((table) => table?.toString() ?? '').join('\n'), port)
  return Promise.all(sockets.map((socket) => ownerOf(host, socket)))
}

async function ownerOf(host: Host, socket: ProcSocket): Promise<PortOwner> {
  const pattern = `socket:\\[${socket.inode}\\]`
  const script = 'for d in /proc/[0-9]*/fd; do find "$d" -lname "$1" 2>/dev/null; done'
  const { stdout } = await host.run(['sh', '-c', script, 'sh', pattern])
  const pid = /^\/proc\/(\d+)\//.exec(stdout)?.[1]
  if (pid === undefined) return { address: socket.address, pid: undefined, program: undefined }
  const name = await host.readFile(`/proc/${pid}/comm`)
  return { address: socket.address, pid: Number(pid), program: name?.toString().trim() }
}

/** Kernel's hexadecimal words in host byte order (little-endian) → address. */
function addressOf(hex: string): string {
  const bytes = Buffer.from(hex, 'hex')
  for (let at = 0; at < bytes.length; at += 4) bytes.subarray(at, at + 4).reverse()
  if (bytes.length === 4) return bytes.join('.')
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16))
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1)
}
