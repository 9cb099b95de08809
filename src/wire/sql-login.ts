/**
 * Puts our login in the place of the one of `pg`, so that both kinds of connection answer the same
 * and nothing else.
 */
import type { EventEmitter } from 'node:events'
import type { PeerCertificate } from 'node:tls'
import { BackstayError } from '../errors/backstay-error.ts'
import type { AuthenticationRequest } from './backend-messages.ts'
import { Login, type LoginOrder } from './login.ts'

/** The part of pg's connection object that is used beside its documented API. */
export interface PgConnection extends EventEmitter {
  /** The TLS stream once there is one. */
  readonly stream: {
    write(bytes: Uint8Array): boolean
    getPeerCertificate?(): PeerCertificate
  }
}

interface PgMessage {
  readonly salt?: Buffer
  readonly mechanisms?: readonly string[]
  readonly data?: string
}

const REQUESTS: Readonly<Record<string, (message: PgMessage) => AuthenticationRequest>> = {
  authenticationOk: () => ({ kind: 'ok' }),
  authenticationCleartextPassword: () => ({ kind: 'cleartext' }),
  authenticationMD5Password: ({ salt }) => ({ kind: 'md5', salt: salt ?? Buffer.alloc(0) }),
  authenticationSASL: ({ mechanisms }) => ({ kind: 'sasl', mechanisms: mechanisms ?? [] }),
  authenticationSASLContinue: ({ data }) => ({ kind: 'sasl-continue', data: data ?? '' }),
  authenticationSASLFinal: ({ data }) => ({ kind: 'sasl-final', data: data ?? '' }),
}

/**
 * Answers what the server asks for, in order. To be made when `pg` has begun to connect, for then
 * its own listeners are there to be removed.
 */
export class SqlLogin {
  readonly #login: Login
  readonly #fail: (error: unknown) => void
  #answered: Promise<void> = Promise.resolve()

  /** `fail` is told of the first refusal and must end the connection. */
  constructor(connection: PgConnection, order: LoginOrder, fail: (error: unknown) => void) {
    this.#fail = fail
    this.#login = new Login(order, {
      get isEncrypted() {
        return connection.stream.getPeerCertificate !== undefined
      },
      get certificate() {
        return connection.stream.getPeerCertificate?.()
      },
      write: (bytes) => connection.stream.write(bytes),
    })
    for (const [event, requestOf] of Object.entries(REQUESTS)) {
      connection.removeAllListeners(event)
      connection.on(event, (message: PgMessage) => this.#take(requestOf(message)))
    }
  }

  /**
   * To be awaited when `pg` says that it is connected.
   * @throws {BackstayError} as `Login.answer`
   */
  async end(action: string): Promise<void> {
    await this.#answered
    // ReadyForQuery without AuthenticationOk is no login.
    if (!this.#login.isOver) {
      throw new BackstayError('POSTGRES_PROTOCOL', `${action}: the server is ready without a login`)
    }
  }

  #take(request: AuthenticationRequest): void {
    this.#answered = this.#answered.then(async () => this.#login.answer(request))
    this.#answered.catch(this.#fail)
  }
}
