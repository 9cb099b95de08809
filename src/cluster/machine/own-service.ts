/**
 * The service of a backup server that is this machine: not shipped, but the Backstay that is
 * installed here, with the operator's own cluster file. Made by whoever runs Backstay.
 */
import type { UnitState } from '../../host/systemd.ts'

/** What the service is made of. */
export interface OwnService {
  /** Absolute path of the operator's cluster file. */
  readonly configFile: string
  /** The command line of this Backstay under paths that last, without its own words. */
  readonly command: readonly string[]
  /**
   * The unit that runs it as `user`. Another Backstay, or another content of the cluster file,
   * makes another text.
   */
  unitText(place: { readonly user: string; readonly repository: string }): string
  /** Whether a service works on the repository now, whoever started it. */
  isAnswering(repository: string): Promise<boolean>
}

/** Why no service is made. */
export type NoService = 'no-systemd' | 'not-root'

/** The unit as it stands on this machine. */
export interface OwnUnit {
  readonly state: UnitState
  /**
   * The cluster file that another cluster of this name is built from, and that the unit is for;
   * undefined when the unit is ours.
   */
  readonly otherFile: string | undefined
}
