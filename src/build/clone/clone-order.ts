/**
 * What is cloned from where.
 */
import type { ServerWanted } from '../../cluster/wanted.ts'

/** One clone. */
export interface CloneOrder {
  readonly server: ServerWanted
  readonly primary: ServerWanted
  /** By Backstay on the standby's machine, if it is there and runs. Default false. */
  readonly isDirect?: boolean
}
