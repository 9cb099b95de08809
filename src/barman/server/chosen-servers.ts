/**
 * Which servers a command means, and whether it may work on them. Says why not, as Barman does.
 */
import type { BarmanServer } from '../../config/barman/model.ts'
import type { BarmanContext } from '../context.ts'

/** What a command accepts. */
export interface ServerWish {
  /** Works on servers that are not active. */
  readonly inactive?: true
  /** Works on servers whose configuration is wrong. */
  readonly disabled?: true
  /** A passive server is passed over with a word. */
  readonly skipPassive?: true
  /** Not to be active is an error instead of a reason to pass it over. */
  readonly inactiveIsError?: true
}

const NO_WISH: ServerWish = {}

/** The one server named by the first word; undefined when it was said why not. */
export function oneServer(
  context: BarmanContext,
  wish: ServerWish = NO_WISH,
): BarmanServer | undefined {
  const [name = ''] = context.words
  if (name === 'all') {
    context.output.error("You cannot use 'all' in a single server context")
    return undefined
  }
  const server = find(context, name)
  return server !== undefined && mayUse(context, server, wish) ? server : undefined
}

/** The servers named by the words, `all` meaning every one. */
export function severalServers(context: BarmanContext, wish: ServerWish = NO_WISH): BarmanServer[] {
  const { words, config, output } = context
  if (words.includes('all') && new Set(words).size > 1) {
    output.error("You cannot use 'all' with other server names")
    return []
  }
  const named = words.includes('all')
    ? config.servers
    : [...new Set(words)].map((name) => find(context, name)).filter((one) => one !== undefined)
  return named.filter((server) => mayUse(context, server, wish))
}

function find({ config, output }: BarmanContext, name: string): BarmanServer | undefined {
  const server = config.servers.find((each) => each.name === name)
  if (server === undefined) output.error(`Unknown server '${name}'`)
  return server
}

/** Whether the command may work on it; when not, says why. */
function mayUse(context: BarmanContext, server: BarmanServer, wish: ServerWish): boolean {
  const { output } = context
  const { name, problems } = server
  const [problem] = problems
  if (problem !== undefined && wish.disabled !== true) {
    output.error(problem)
    return false
  }
  if (!server.active && wish.inactive !== true) {
    if (wish.inactiveIsError === true) output.error(`Inactive server: ${name}`)
    else output.info(`Skipping inactive server '${name}'`)
    return false
  }
  if (server.isPassive && wish.skipPassive === true) {
    output.info(`Skipping passive server '${name}'`)
    return false
  }
  return true
}
