/**
 * The completion script completes, in a real bash.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { backstay, ROOT, start } from './programs.ts'

const { stdout: script } = await backstay(['completion', 'bash'])

/** What bash offers after the words, the last of which is being typed. */
async function complete(...words: string[]): Promise<string[]> {
  const typed = ['backstay', ...words].map((word) => `'${word}'`).join(' ')
  const ask = `COMP_WORDS=(${typed}); COMP_CWORD=${words.length}; _backstay; printf '%s\\n' "\${COMPREPLY[@]}"`
  const { code, stdout, stderr } = await start(['bash', '--norc', '-uc', `${script}\n${ask}`]).ended
  assert.deepEqual([code, stderr], [0, ''])
  return stdout.split('\n').filter(Boolean)
}

test('commands, groups and their verbs are completed', async () => {
  assert.ok((await complete('in')).includes('init'))
  assert.deepEqual(await complete('conf'), ['config'])
  assert.deepEqual((await complete('config', '')).slice(0, 3), ['check', 'explain', 'schema'])
  assert.deepEqual(await complete('completion', 'z'), ['zsh'])
})

test('options of the command and of all commands are completed', async () => {
  assert.deepEqual(await complete('init', '--prim'), ['--primary'])
  assert.deepEqual(await complete('init', '--js'), ['--json'])
  assert.deepEqual(await complete('--ver'), ['--verbose'])
})

test('values that are paths are completed as paths', async () => {
  assert.deepEqual(await complete('--config', `${ROOT}/tsconfig.b`), [
    `${ROOT}/tsconfig.build.json`,
  ])
  assert.deepEqual(await complete('init', '--directory', '/et'), ['/etc'])
  assert.deepEqual(await complete('init', '--cluster', ''), [])
})
