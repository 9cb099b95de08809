/**
 * Tells systemd how the service is (READY=1, STOPPING=1, WATCHDOG=1). Node cannot send a datagram
 * to a Unix socket, so systemd's own `systemd-notify` does it; the unit needs NotifyAccess=all for
 * that. Outside systemd nothing happens. Source: sd_notify(3), systemd-notify(1).
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)
const NOTIFY_TIMEOUT_MS = 5000

/** What systemd gave the service; both undefined outside systemd. */
export interface NotifyEnvironment {
  /** NOTIFY_SOCKET. */
  readonly notifySocket: string | undefined
  /** WATCHDOG_USEC as a number. */
  readonly watchdogMicroseconds: number | undefined
}

/** Sends states to systemd. */
export class SystemdNotifier implements Disposable {
  readonly #environment: NotifyEnvironment
  #watchdog: NodeJS.Timeout | undefined

  constructor(environment: NotifyEnvironment) {
    this.#environment = environment
  }

  /**
   * Says that the service is up, and from now on that its event loop turns, in half the time
   * systemd allows.
   */
  async ready(status: string): Promise<void> {
    await this.#send('READY=1', `STATUS=${status}`)
    const { watchdogMicroseconds } = this.#environment
    if (watchdogMicroseconds === undefined) return
    const everyMs = Math.max(1000, watchdogMicroseconds / 2000)
    this.#watchdog = setInterval(() => void this.#send('WATCHDOG=1'), everyMs).unref()
  }

  async stopping(): Promise<void> {
    await this.#send('STOPPING=1')
  }

  [Symbol.dispose](): void {
    clearInterval(this.#watchdog)
  }

  /** A state that does not arrive is systemd's to judge: it knows its own timeouts. */
  async #send(...states: string[]): Promise<void> {
    const { notifySocket } = this.#environment
    if (notifySocket === undefined) return
    const env = { PATH: '/usr/bin:/bin', NOTIFY_SOCKET: notifySocket }
    await run('systemd-notify', states, { env, timeout: NOTIFY_TIMEOUT_MS }).catch(() => undefined)
  }
}
