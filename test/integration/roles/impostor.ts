/**
 * Somebody who holds the replication role: streams WAL from 127.0.0.2 so that the primary names that address, and asks whoever comes
 * there for an md5 answer.
 */
import { once } from 'node:events'
import { createServer, type Server, Socket } from 'node:net'
import { Client } from 'pg'

const ADDRESS = '127.0.0.2'
const SSL_REQUEST = 80_877_103
/** AuthenticationMD5Password with a salt of one's choice. */
const MD5_QUESTION = Buffer.from([0x52, 0, 0, 0, 12, 0, 0, 0, 5, 0x45, 0x56, 0x45, 0x21])

/** Listens at the port of the primary on another address of this machine. */
export class Impostor implements AsyncDisposable {
  /** Connections that came as far as a login. */
  asked = 0
  /** Passwords that came. */
  answers = 0
  readonly #server: Server
  readonly #port: number
  readonly #sockets = new Set<Socket>()

  private constructor(port: number) {
    this.#port = port
    this.#server = createServer((socket) => this.#serve(socket))
  }

  static async listen(port: number): Promise<Impostor> {
    const impostor = new Impostor(port)
    impostor.#server.listen(port, ADDRESS)
    await once(impostor.#server, 'listening')
    return impostor
  }

  /** Begins to stream; ends with the impostor. */
  async receiveWal(password: string): Promise<void> {
    const socket = new Socket()
    const connect = socket.connect.bind(socket)
    socket.connect = ((port: number, host: string) =>
      connect({ port, host, localAddress: ADDRESS })) as typeof socket.connect
    this.#sockets.add(socket)
    const login = { host: '127.0.0.1', port: this.#port, user: 'postgres', password }
    const replication = { replication: 'true', application_name: 'eve', stream: () => socket }
    const client = new Client({ ...login, ...replication })
    client.on('error', () => undefined)
    await client.connect()
    const { rows } = await client.query<{ xlogpos: string }>('IDENTIFY_SYSTEM')
    // It never ends by itself.
    void client.query(`START_REPLICATION ${rows[0]?.xlogpos}`).catch(() => undefined)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
    await once(this.#server, 'close')
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket)
    socket.on('error', () => undefined)
    let isAsked = false
    socket.on('data', (bytes) => {
      if (isAsked) {
        this.answers += bytes[0] === 'p'.charCodeAt(0) ? 1 : 0
      } else if (bytes.length === 8 && bytes.readInt32BE(4) === SSL_REQUEST) {
        socket.write('N')
      } else {
        isAsked = true
        this.asked += 1
        socket.write(MD5_QUESTION)
      }
    })
  }
}
