/**
 * The suites but the unit tests, or the files given, each in a process of its own, under node:test. Started by test.ts where it has
 * put apart what tests leave; flags go to node:test. Node's own command line takes files by name: all that need hosts at one time,
 * when they wait for each other and the processor idles. Here they come spread among the others.
 */
import { globSync } from 'node:fs'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'

const HOSTS = 'test/hosts/**/*.test.ts'
const OTHERS = 'test/{conformance,integration,fault,fuzz,torture}/**/*.test.ts'
/** Tests wait half of their time (for a disk, a host, a replay): with a file for each of two cores, cores would idle. */
const FILES_AT_ONCE = 3
/** One test that waits for ever would take the whole run with it. */
const TEST_TIMEOUT_MS = 20 * 60_000

/** The files of `few`, with a share of `many` after each. */
function spread(few: readonly string[], many: readonly string[]): string[] {
  if (few.length === 0) return [...many]
  const share = Math.ceil(many.length / few.length)
  return few.flatMap((file, index) => [file, ...many.slice(index * share, (index + 1) * share)])
}

const stop = new AbortController()
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort())

function filesOf(patterns: readonly string[]): string[] {
  if (patterns.length === 0) return spread(globSync(HOSTS).sort(), globSync(OTHERS).sort())
  return patterns.flatMap((pattern) => {
    const found = globSync(pattern)
    if (found.length === 0) throw new Error(`Could not find '${pattern}'`)
    return found
  })
}

const given = process.argv.slice(2)
const isFlag = (word: string): boolean => word.startsWith('-')
const events = run({
  files: filesOf(given.filter((word) => !isFlag(word))),
  concurrency: FILES_AT_ONCE,
  signal: stop.signal,
  // What a test leaves open must not keep its process either.
  execArgv: [`--test-timeout=${TEST_TIMEOUT_MS}`, '--test-force-exit', ...given.filter(isFlag)],
})
events.on('test:fail', ({ todo }) => {
  if (todo === undefined || todo === false) process.exitCode = 1
})
events.compose(spec).pipe(process.stdout)
