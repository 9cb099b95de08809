/**
 * The login conversation of a replication connection: the server's requests, answered by `Login`,
 * up to ReadyForQuery.
 */
import { decodeAuthentication } from './backend-messages.ts'
import { type Exchange, unexpectedMessage } from './conversation.ts'
import type { Login } from './login.ts'
import { BACKEND } from './message-types.ts'

/** One login as an exchange; what the server asks for is answered by `Login`. */
export class LoginExchange implements Exchange {
  readonly action: string
  readonly #login: Login

  constructor(action: string, login: Login) {
    this.action = action
    this.#login = login
  }

  message(type: number, payload: Buffer): void | Promise<void> {
    if (type === BACKEND.negotiateProtocolVersion) return
    if (type !== BACKEND.authentication) throw unexpectedMessage(this.action, type)
    return this.#login.answer(decodeAuthentication(payload))
  }
}
