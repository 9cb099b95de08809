/**
 * One thing `up` will do, as data: shown by `plan`, carried out by steps/. Holds no secret.
 */
import { redact } from '../../errors/redact.ts'
import type { PackageManager } from '../../host/packages.ts'
import type { RoleWanted } from '../../cluster/wanted-roles.ts'

/** One line of what changes. */
export interface DiffLine {
  readonly sign: '+' | '-' | ' '
  readonly text: string
}

/** The files a `file` step may write; what each is and where it lies, the found server knows. */
export type ManagedFile = 'settings' | 'include' | 'hba' | 'standby' | 'auto'

/** What is done, with what the doing needs. */
export type StepAction =
  | { readonly action: 'passwords'; readonly roles: readonly string[] }
  | { readonly action: 'install'; readonly manager: PackageManager }
  | { readonly action: 'initdb' }
  | { readonly action: 'directory'; readonly path: string }
  /** `fallback` is put back when PostgreSQL refuses the new text. */
  | {
      readonly action: 'file'
      readonly file: ManagedFile
      readonly path: string
      readonly content: string
      readonly fallback: string | undefined
    }
  | { readonly action: 'signal-file'; readonly path: string }
  | { readonly action: 'passfile'; readonly path: string }
  | { readonly action: 'repository'; readonly path: string }
  | { readonly action: 'repository-passfile'; readonly path: string }
  | { readonly action: 'postgres-unit'; readonly unit: string }
  | { readonly action: 'service-user'; readonly user: string; readonly home: string }
  /** `clone`: it is only needed for that, which can do without it. */
  | { readonly action: 'package'; readonly version: string; readonly use: 'service' | 'clone' }
  | { readonly action: 'service-file'; readonly path: string }
  | { readonly action: 'service'; readonly unit: string }
  /** The service of this machine. */
  | { readonly action: 'own-service'; readonly unit: string }
  | { readonly action: 'seat-home'; readonly path: string }
  | { readonly action: 'seat-psql'; readonly manager: PackageManager }
  | {
      readonly action: 'seat-file'
      readonly path: string
      readonly content: string
      readonly mode: number
    }
  | { readonly action: 'clone-from-backup'; readonly source: string }
  | { readonly action: 'stop-fetching'; readonly path: string }
  | { readonly action: 'way'; readonly directory: string }
  | { readonly action: 'keep-state'; readonly path: string }
  | { readonly action: 'start' | 'restart' | 'reload' | 'stop' }
  | { readonly action: 'role'; readonly role: RoleWanted }
  | { readonly action: 'slot'; readonly slot: string; readonly replaces: boolean }
  | { readonly action: 'drop-slot'; readonly slot: string }
  /** `isDirect`: by Backstay on the standby's machine. */
  | { readonly action: 'clone'; readonly source: string; readonly isDirect: boolean }
  | { readonly action: 'attach'; readonly primary: string }
  | { readonly action: 'remove-mark'; readonly path: string }
  | { readonly action: 'remove-note' }
  | { readonly action: 'remove-aside'; readonly path: string; readonly primary: string }

/** A step of a plan. */
export type Step = StepAction & {
  /** `db1.settings`: stable between two plans for the same thing. */
  readonly id: string
  /** Undefined for what happens where Backstay runs. */
  readonly server: string | undefined
  readonly title: string
  readonly reason: string
  readonly diff: readonly DiffLine[]
  readonly effect: 'none' | 'reload' | 'restart'
  /** Whether something that existed is gone afterwards. */
  readonly isDestructive: boolean
}

/** What a step is besides its action; the rest has defaults. */
export interface StepText {
  readonly title: string
  readonly reason: string
  readonly diff?: readonly DiffLine[]
  readonly effect?: Step['effect']
  readonly isDestructive?: boolean
}

/**
 * Puts a step together; its id is the server and what it acts on. Its diff is for people and JSON:
 * secrets are taken out of it.
 */
export function step(server: string | undefined, action: StepAction, text: StepText): Step {
  return {
    ...action,
    id: [server, action.action, subjectOf(action)].filter((part) => part !== undefined).join('.'),
    server,
    title: text.title,
    reason: text.reason,
    diff: (text.diff ?? []).map(({ sign, text: line }) => ({ sign, text: redact(line) })),
    effect: text.effect ?? 'none',
    isDestructive: text.isDestructive ?? false,
  }
}

function subjectOf(action: StepAction): string | undefined {
  if (action.action === 'directory' || action.action === 'seat-file') return action.path
  if (action.action === 'file') return action.file
  if (action.action === 'role') return action.role.name
  if (action.action === 'slot' || action.action === 'drop-slot') return action.slot
  return undefined
}
