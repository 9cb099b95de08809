/**
 * A Barman home in a temporary directory, and Barman's programs run against it as an operator runs them.
 */
import { spawn } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))

/** What a program did. */
export interface Ran {
  readonly exitCode: number
  readonly stdout: Buffer
  readonly stderr: string
}

/** A configured Barman. */
export interface BarmanHouse extends AsyncDisposable {
  readonly directory: string
  readonly home: string
  readonly configFile: string
  /** Has `barman`, `barman-wal-archive` and `barman-wal-restore` in it. */
  readonly binaries: string
  readonly environment: Readonly<Record<string, string>>
  /** Runs `barman` with these words. */
  barman(words: readonly string[], input?: Buffer): Promise<Ran>
  /** Runs any program. */
  run(command: readonly string[], input?: Buffer, more?: Record<string, string>): Promise<Ran>
}

/** Makes the home. `servers`: the sections, as text. */
export async function barmanHouse(servers: string): Promise<BarmanHouse> {
  const base = temporaryDirectory()
  const directory = base.path
  const home = join(directory, 'barman')
  const binaries = join(directory, 'bin')
  const configFile = join(directory, 'barman.conf')
  await mkdir(home)
  await mkdir(binaries)
  const user = process.getuid?.() === 0 ? 'root' : (process.env['USER'] ?? '')
  await writeFile(
    configFile,
    `[barman]\nbarman_user = ${user}\nbarman_home = ${home}\nlog_file = ${directory}/barman.log\n\n${servers}`,
  )
  for (const name of ['barman', 'barman-wal-archive', 'barman-wal-restore']) {
    await writeFile(
      join(binaries, name),
      `#!/bin/sh\nexport BARMAN_CONFIG_FILE=\${BARMAN_CONFIG_FILE:-${configFile}}\nexec '${process.execPath}' '${ROOT}bin/${name}.js' "$@"\n`,
      { mode: 0o755 },
    )
  }
  const environment = {
    PATH: `${binaries}:/usr/bin:/bin`,
    HOME: directory,
    NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'] ?? join(directory, 'cache'),
  }
  const run: BarmanHouse['run'] = async (command, input, more) =>
    runProgram(command, input ?? Buffer.alloc(0), { ...environment, ...more })
  return {
    directory,
    home,
    configFile,
    binaries,
    environment,
    run,
    barman: async (words, input) => run([join(binaries, 'barman'), ...words], input),
    [Symbol.asyncDispose]: async () => base[Symbol.asyncDispose](),
  }
}

async function runProgram(
  [program = '', ...words]: readonly string[],
  input: Buffer,
  environment: Record<string, string>,
): Promise<Ran> {
  const child = spawn(program, words, { env: environment, stdio: ['pipe', 'pipe', 'pipe'] })
  const { promise, resolve, reject } = Promise.withResolvers<Ran>()
  const parts: Buffer[] = []
  let stderr = ''
  child.on('error', reject)
  child.stdin.on('error', () => {})
  child.stdout.on('data', (part: Buffer) => parts.push(part))
  child.stderr.on('data', (part: Buffer) => (stderr += part.toString()))
  child.on('close', (code) =>
    resolve({ exitCode: code ?? -1, stdout: Buffer.concat(parts), stderr }),
  )
  child.stdin.end(input)
  return await promise
}
