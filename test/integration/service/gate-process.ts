/**
 * The gate's own process, as sshd runs it for the key of server "db1" or another.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { LAUNCHER } from '../cli/programs.ts'

/** Says one thing to the gate, as sshd runs it for a key. */
export function gate(
  repository: string,
  words: string,
  input: Buffer = Buffer.alloc(0),
  server = 'db1',
): { code: number | null; said: string } {
  const place = ['--repository', repository, '--cluster', 'shop', '--server', server]
  const { status, stderr } = spawnSync(process.execPath, [LAUNCHER, 'gate', ...place], {
    input,
    encoding: 'utf8',
    env: { SSH_ORIGINAL_COMMAND: words, PATH: '/usr/bin:/bin' },
  })
  return { code: status, said: stderr }
}

/** The same, with standard input left open; `ended` says how it went. */
export function startGate(
  repository: string,
  words: string,
): { child: ChildProcess; ended: Promise<{ code: number | null; said: string }> } {
  const place = ['--repository', repository, '--cluster', 'shop', '--server', 'db1']
  const child = spawn(process.execPath, [LAUNCHER, 'gate', ...place], {
    stdio: ['pipe', 'ignore', 'pipe'],
    env: { SSH_ORIGINAL_COMMAND: words, PATH: '/usr/bin:/bin' },
  })
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
  const ended = new Promise<{ code: number | null; said: string }>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, said }))
  })
  return { child, ended }
}
