/**
 * What is cloned from where.
 */
import type { ServerWanted } from '../../cluster/wanted.ts'

/** Which server is made a copy of which primary. */
export interface CloneOrder {
  readonly server: ServerWanted
  readonly primary: ServerWanted
  /** By Backstay on the standby's machine, if it is there and runs. Default false. */
  readonly isDirect?: boolean
}
