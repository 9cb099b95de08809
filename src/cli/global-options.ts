/**
 * Options every command knows. They may stand before or after the command.
 */
import type { OptionSpecs, OptionValues } from './option-spec.ts'

/** By their keys, in the order --help shows them. */
export const GLOBAL_OPTIONS = {
  config: {
    type: 'string',
    short: 'c',
    value: 'FILE',
    help: 'Cluster file (default: backstay.yaml here, in ~/.config/backstay or in /etc/backstay)',
  },
  acceptNewHostKeys: {
    type: 'flag',
    help: 'Trust the key of a host that ssh does not know yet, and remember it; a changed key stays an error',
  },
  json: { type: 'flag', help: 'Print one JSON object instead of text, errors included' },
  quiet: { type: 'flag', help: 'Print results only, no progress' },
  noColor: { type: 'flag', help: 'Print without colours, as with NO_COLOR set' },
  verbose: { type: 'flag', help: 'Print where in the program an error arose' },
} as const satisfies OptionSpecs

/** The values of the global options. */
export type GlobalValues = OptionValues<typeof GLOBAL_OPTIONS>
