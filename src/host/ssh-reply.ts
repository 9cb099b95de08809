/**
 * Reads what the script around a remote command said, and takes it out of the command's own
 * standard error.
 */

/** How much a login shell may say before a command's own output. */
export const BEFORE_OUTPUT_BYTES_MAX = 64 * 1024

/**
 * How the remote side ended. Without `exitCode` and `refused` the connection was lost or never
 * made.
 */
export interface RemoteReply {
  readonly exitCode: number | undefined
  /** Why the command was not started. */
  readonly refused: 'no-user' | 'no-directory' | undefined
  /** What the command itself (or ssh) wrote. */
  readonly stderr: string
}

/**
 * Pid of the remote timeout(1), which passes signals on to the whole group; undefined while it has
 * not been said.
 */
export function remotePid(stderr: string, nonce: string): number | undefined {
  const pid = new RegExp(`${nonce} pid (\\d+)\\n`).exec(stderr)?.[1]
  return pid === undefined ? undefined : Number(pid)
}

/**
 * Reads standard error of ssh. `nonce` is hexadecimal and unguessable for the command. What a login
 * shell or sudo said before the command began is left out, unless it never began.
 */
export function parseReply(stderr: string, nonce: string): RemoteReply {
  const exit = new RegExp(`${nonce} exit (\\d+)\\n`).exec(stderr)?.[1]
  const refused = new RegExp(`${nonce} (no-user|no-directory)\\n`).exec(stderr)?.[1]
  const began = new RegExp(`${nonce} pid \\d+\\n`).exec(stderr)
  const said = began === null ? stderr : stderr.slice(began.index + began[0].length)
  return {
    exitCode: exit === undefined ? undefined : Number(exit),
    refused: refused as RemoteReply['refused'],
    stderr: said.replaceAll(new RegExp(`${nonce} [a-z-]+(?: \\d+)?\\n`, 'g'), ''),
  }
}

/**
 * The command's own standard output: what comes after the line with the nonce, before which a login
 * shell may have talked.
 */
export function ownOutput(stdout: Buffer, nonce: string): Buffer {
  const at = stdout.indexOf(`${nonce}\n`)
  return at < 0 ? stdout : stdout.subarray(at + nonce.length + 1)
}

/** Who hears output as it comes. */
export interface OwnOutput {
  /** Gets what follows the line with the nonce. */
  readonly see: (chunk: Buffer) => void
  /**
   * Called, once, for a machine that says more before that line than any login shell would; nothing
   * is seen then.
   */
  readonly onTooMuch: () => void
}

/** The same as `ownOutput` for output that comes in pieces. */
export function ownOutputOnly(
  { see, onTooMuch }: OwnOutput,
  nonce: string,
): (chunk: Buffer) => void {
  const line = `${nonce}\n`
  let head = Buffer.alloc(0)
  let state: 'before' | 'own' | 'too much' = 'before'
  return (chunk) => {
    if (state === 'own') return see(chunk)
    if (state === 'too much') return
    head = Buffer.concat([head, chunk])
    const at = head.indexOf(line)
    const own = head.subarray(at + line.length)
    if (at < 0 && head.length <= BEFORE_OUTPUT_BYTES_MAX) return
    head = Buffer.alloc(0)
    state = at < 0 ? 'too much' : 'own'
    if (state === 'too much') onTooMuch()
    else if (own.length > 0) see(own)
  }
}
