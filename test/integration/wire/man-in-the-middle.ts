/**
 * Somebody between a client and a real PostgreSQL: ends the client's TLS with a certificate of its own, changes what the server asks
 * for, and keeps everything the client says after its startup message.
 */
import { readFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { createSecureContext, TLSSocket } from 'node:tls'
import { claimPort } from '../../harness/ports.ts'
import { message } from './backend-bytes.ts'

/** What it does to the login. */
export type Tampering =
  /** Passes everything on: without TLS of its own the server offers no channel binding. */
  | 'relay'
  /** Asks for the password in clear text instead of what the server asks for. */
  | 'clear-text'
  /** Asks for the md5 of it. */
  | 'md5'
  /** Lets the client in without a proof, and asks no server at all. */
  | 'let-in'
  /** Says that it is ready without any login. */
  | 'ready'
  /** Takes part in SCRAM and lets the client in without a proof of the server. */
  | 'skip-proof'

/** How it is started. */
export interface MiddleOptions {
  readonly tampering: Tampering
  /** The real server. */
  readonly server: { readonly host: string; readonly port: number }
  /** Ends TLS with it; left out: says that it offers none. */
  readonly certificate?: { readonly cert: string; readonly key: string }
  /** Listens on this Unix socket instead of a port. */
  readonly socket?: string
}

/** One that listens. */
export interface Middle extends AsyncDisposable {
  readonly host: '127.0.0.1'
  readonly port: number
  /** What clients said after their startup message. */
  heard(): Buffer
}

const SSL_REQUEST = 80_877_103
const INT = 4

const int = (value: number): Buffer => {
  const bytes = Buffer.alloc(INT)
  bytes.writeInt32BE(value)
  return bytes
}
const text = (value: string): Buffer => Buffer.from(`${value}\0`)

const CLEAR_TEXT = message('R', int(3))
const MD5 = message('R', int(5), Buffer.from('salt'))
const READY = Buffer.concat([
  message('S', text('server_version'), text('18.0')),
  message('K', int(1), int(1)),
  message('Z', Buffer.from('I')),
])
/** A login that ends without a proof. */
export const LET_IN = Buffer.concat([message('R', int(0)), READY])

/** Starts one. */
export async function startMiddle(options: MiddleOptions): Promise<Middle> {
  const port = options.socket === undefined ? await claimPort() : 0
  const heard: Buffer[] = []
  const sockets = new Set<{ destroy(): unknown }>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    void serve(socket, { ...options, heard, sockets }).catch(() => socket.destroy())
  })
  await new Promise<void>((resolve) => {
    if (options.socket === undefined) server.listen(port, '127.0.0.1', resolve)
    else server.listen(options.socket, resolve)
  })
  return {
    host: '127.0.0.1',
    port,
    heard: () => Buffer.concat(heard),
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

interface Serving extends MiddleOptions {
  readonly heard: Buffer[]
  readonly sockets: Set<{ destroy(): unknown }>
}

async function serve(raw: Socket, options: Serving): Promise<void> {
  let socket: Socket = raw
  let startup = await read(socket)
  if (startup.readInt32BE(INT) === SSL_REQUEST) {
    socket.write(options.certificate === undefined ? 'N' : 'S')
    if (options.certificate !== undefined) socket = encrypt(socket, options.certificate)
    socket.on('error', () => undefined)
    startup = await read(socket)
  }
  socket.on('data', (chunk: Buffer) => options.heard.push(chunk))
  if (options.tampering === 'let-in') return void socket.write(LET_IN)
  if (options.tampering === 'ready') return void socket.write(READY)
  const upstream = connect(options.server.port, options.server.host)
  options.sockets.add(upstream)
  upstream.on('error', () => socket.destroy()).on('close', () => socket.destroy())
  socket.on('close', () => upstream.destroy())
  socket.on('data', (chunk: Buffer) => upstream.write(chunk))
  upstream.write(startup)
  upstream.on('data', (chunk: Buffer) => socket.write(changed(chunk, options.tampering)))
}

function encrypt(socket: Socket, certificate: { cert: string; key: string }): TLSSocket {
  const secureContext = createSecureContext({
    cert: readFileSync(certificate.cert),
    key: readFileSync(certificate.key),
  })
  return new TLSSocket(socket, { isServer: true, secureContext })
}

/** The server's messages of a login come whole on loopback. */
function changed(chunk: Buffer, tampering: Tampering): Buffer {
  const kind = chunk[0] === 0x52 ? chunk.readInt32BE(1 + INT) : -1
  if (tampering === 'clear-text' && kind === 10) return CLEAR_TEXT
  if (tampering === 'md5' && kind === 10) return MD5
  if (tampering === 'skip-proof' && kind === 11) return Buffer.concat([LET_IN])
  return chunk
}

async function read(socket: Socket): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    socket.once('data', resolve)
    socket.once('close', () => reject(new Error('closed')))
  })
}
