/**
 * Options that several `wal` commands share.
 */
import type { OptionSpecs } from '../option-spec.ts'

/** Which repository, and which cluster in it. */
export const WAL_PLACE_OPTIONS = {
  repository: {
    type: 'string',
    value: 'DIR',
    help: 'Repository (default: as the cluster file says); with --cluster no cluster file is read',
  },
  cluster: { type: 'string', value: 'NAME', help: 'Cluster in the repository' },
} as const satisfies OptionSpecs

/** Of the commands that a recovery starts. */
export const WAY_OPTION = {
  way: {
    type: 'string',
    value: 'DIR',
    hidden: true,
    help: 'The way into the repository on another machine; with --cluster',
  },
} as const satisfies OptionSpecs

/** The type of these options. */
export type WalPlaceOptions = typeof WAL_PLACE_OPTIONS
