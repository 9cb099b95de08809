/**
 * The ways of the servers into the repository as found: facts, no judgement.
 */

/** What was seen of all ways. */
export interface WaysFound {
  readonly gate: GateFound
  /** Only servers whose machine answered. */
  readonly servers: readonly WayFound[]
}

/** The backup server's side. */
export interface GateFound {
  /** OS user who owns the repository; ssh logs in as him. */
  readonly osUser: string
  /** His authorized_keys: where it lies and what it says. */
  readonly path: string
  readonly authorizedKeys: string
  /** The public keys of sshd there, as lines. */
  readonly hostKeys: readonly string[]
}

/**
 * A server's side: its key and the two files of ssh's that lead to the gate, as they are; undefined
 * where there is none.
 */
export interface WayFound {
  readonly server: string
  /** `ssh-ed25519 AAAA…`; undefined while there is no key that can be used. */
  readonly publicKey: string | undefined
  readonly config: string | undefined
  readonly knownHosts: string | undefined
}
