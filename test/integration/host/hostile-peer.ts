/**
 * Somebody at the address of another server who wants to be told the password, or to be believed without any proof: a standby, he says, so
 * that an old primary may start.
 */
import { createServer, type Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { claimPort } from '../../harness/ports.ts'
import { message } from '../wire/backend-bytes.ts'

/** What a peer asks for before it lets somebody in. */
export type Asks = 'clear text' | 'nothing'

/** PEM. */
interface Identity {
  readonly cert: Buffer
  readonly key: Buffer
}

/** A listening one, on 127.0.0.1. */
export interface HostilePeer extends Disposable {
  readonly port: number
  /** Passwords it was told. */
  readonly told: readonly string[]
  /** How many came. */
  readonly visits: number
}

const SSL_REQUEST = 80877103
const GSS_REQUEST = 80877104
const PASSWORD = 'p'.charCodeAt(0)
const QUERY = 'Q'.charCodeAt(0)

/** What one says when it is asked for its timeline. */
type Says = (socket: Socket) => void

/** Starts one. @param identity what it shows over TLS, which it offers then */
export async function startHostilePeer(
  asks: Asks,
  identity?: Identity,
  says: Says = (socket) => void socket.write(ON_TIMELINE_1),
): Promise<HostilePeer> {
  const told: string[] = []
  let visits = 0
  const converse = (socket: Socket): void => {
    socket.on('error', () => undefined)
    socket.on('data', (bytes: Buffer) => {
      if (bytes[0] === PASSWORD) told.push(bytes.toString('latin1', 5, bytes.length - 1))
      if (identity === undefined || !isRequest(bytes, SSL_REQUEST)) {
        if (bytes[0] === QUERY) says(socket)
        else answer(socket, asks, bytes)
      } else {
        socket.removeAllListeners('data')
        socket.write('S')
        converse(new TLSSocket(socket, { isServer: true, ...identity }))
      }
    })
  }
  const server = createServer((socket) => {
    visits += 1
    converse(socket)
  })
  const port = await claimPort()
  await new Promise<void>((resolve) => void server.listen(port, '127.0.0.1', resolve))
  return {
    port,
    told,
    get visits() {
      return visits
    },
    [Symbol.dispose]: () => void server.close(),
  }
}

function answer(socket: Socket, asks: Asks, bytes: Buffer): void {
  if (bytes[0] === PASSWORD) socket.write(LET_IN)
  else if (bytes[0] !== 0) socket.destroy()
  else if (isRequest(bytes, SSL_REQUEST) || isRequest(bytes, GSS_REQUEST)) socket.write('N')
  else socket.write(asks === 'nothing' ? LET_IN : message('R', int32(3)))
}

function isRequest(bytes: Buffer, code: number): boolean {
  return bytes.length === 8 && bytes.readInt32BE(4) === code
}

const text = (value: string): Buffer => Buffer.from(`${value}\0`)

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeInt16BE(value)
  return bytes
}

const LET_IN = Buffer.concat([
  message('R', int32(0)),
  message('S', text('server_version'), text('15.0')),
  message('Z', Buffer.from('I')),
])

/** One column, a text. */
const COLUMN = [text('t'), int32(0), int16(0), int32(25), int16(-1), int32(-1), int16(0)]
const HEAD = message('T', int16(1), ...COLUMN)
const END = Buffer.concat([message('C', text('SELECT 1')), message('Z', Buffer.from('I'))])
const rowOf = (value: Buffer): Buffer => message('D', int16(1), int32(value.length), value)

const ON_TIMELINE_1 = Buffer.concat([HEAD, rowOf(Buffer.from('1')), END])

/** Says `count` rows of a megabyte, as fast as they are taken. */
export function flood(count: number): Says {
  const row = rowOf(Buffer.alloc(1_000_000, '7'))
  return (socket) => {
    let said = 0
    const more = (): void => {
      while (said < count) {
        said += 1
        if (!socket.write(row)) return void socket.once('drain', more)
      }
      socket.write(END)
    }
    socket.write(HEAD)
    more()
  }
}
