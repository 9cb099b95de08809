/**
 * What `sudo -ll -U USER` tells of a user, in English: whether he may run everything as root by a
 * proof that nothing else is had for less. Root then does nothing for him that he could not do in
 * the same moment. Whatever is not understood is no yes.
 */

/** The password that is asked for is not his own: everything is not his for the asking. */
const OTHERS_PASSWORD = /(?<![!\w])(?:targetpw|rootpw|runaspw)\b/
/** For some commands or users another proof than for the rest, or one that lasts longer. */
const OTHER_PROOF =
  /\b(?:authenticate|exempt_group|targetpw|rootpw|runaspw|timestamp_\w+|tty_tickets|pam_\w+)\b/
/** No rule says it, and it holds for all that say nothing. */
const FREE_BY_DEFAULT = /!authenticate\b/
const BOUND_DEFAULTS = /^Runas and Command-specific defaults for .*:$/m
const RULES = /^User .+ may run the following commands on .+:$/m
/** So much further in does a long line go on. */
const WRAPPED = /\n {8}/g
const NO_PASSWORD = '!authenticate'
const PASSWORD = 'authenticate'
/** They take nothing from “everything”. */
const FREE_OPTIONS = /^!?(?:authenticate|setenv|log_input|log_output|follow|intercept_verify)$/
const KNOWN_OPTIONS =
  /^!?(?:authenticate|setenv|noexec|intercept|log_input|log_output|follow|intercept_verify)$/
/** A plain name, which `ALL`, `#0`, `%group` and `!name` are not. */
const NAME = /^[a-z_][a-z0-9_.-]*$/

/** One rule, or commands of one with the same options. */
interface Rule {
  runAs: readonly string[]
  options: readonly string[]
  /** Nothing else is said of it: no time, directory or role. */
  isPlain: boolean
  readonly commands: string[]
}

/**
 * Whether the user may run everything as root, where sudo asks for his own password or none, and
 * there is no rule that asks for less than that for something (a NOPASSWD rule beside one with
 * password: whoever sits in his session has that one only).
 */
export function allowsEverything(listing: string): boolean {
  const parts = listing.replaceAll(WRAPPED, ' ').split(RULES)
  const [defaults = '', text] = parts
  if (text === undefined || parts.length !== 2) return false
  const [general = '', bound = ''] = defaults.split(BOUND_DEFAULTS)
  if (OTHERS_PASSWORD.test(general) || OTHER_PROOF.test(bound)) return false
  const rules = parseRules(text)
  return rules !== undefined && areFull(rules, FREE_BY_DEFAULT.test(general))
}

function areFull(rules: readonly Rule[], isFreeByDefault: boolean): boolean {
  if (rules.some(isUnclear)) return false
  const isFree = ({ options }: Rule): boolean =>
    options.includes(NO_PASSWORD) || (isFreeByDefault && !options.includes(PASSWORD))
  // The last one counts, as in sudo.
  const last = rules.findLast(({ commands, runAs }) => commands.includes('ALL') && isRoots(runAs))
  if (last === undefined || !isFull(last)) return false
  return !rules.some(isFree) || isFree(last)
}

function isUnclear({ commands, options }: Rule): boolean {
  const hasRefused = commands.some((command) => command.startsWith('!'))
  return hasRefused || options.some((option) => !KNOWN_OPTIONS.test(option))
}

function isFull({ runAs, options, isPlain }: Rule): boolean {
  const [user] = runAs
  const isAnybody = runAs.length === 1 && (user === 'ALL' || user === 'root')
  return isAnybody && isPlain && options.every((option) => FREE_OPTIONS.test(option))
}

/** Whether root may be among them. */
function isRoots(runAs: readonly string[]): boolean {
  return runAs.length === 0 || runAs.some((user) => user === 'root' || !NAME.test(user))
}

/** Undefined when a line is not understood. */
function parseRules(text: string): Rule[] | undefined {
  const rules: Rule[] = []
  for (const line of text.split('\n')) {
    if (line.trim() === '' || line === '    Commands:') continue
    if (/^(?:Sudoers entry|LDAP Role|SSSD Role):/.test(line)) {
      rules.push({ runAs: [], options: [], isPlain: true, commands: [] })
      continue
    }
    const rule = rules.at(-1)
    if (rule === undefined || !addTo(rule, line)) return undefined
  }
  return rules
}

/** False when the line is none of a rule. */
function addTo(rule: Rule, line: string): boolean {
  if (line.startsWith('\t')) {
    rule.commands.push(line.slice(1))
    return true
  }
  const [, name, value = ''] = /^ {4}(\w+): (.+)$/.exec(line) ?? []
  if (name === undefined) return false
  if (name === 'RunAsUsers') rule.runAs = value.split(', ')
  else if (name === 'Options') rule.options = value.split(', ')
  else if (name !== 'RunAsGroups') rule.isPlain = false
  return true
}
