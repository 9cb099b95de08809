/**
 * A command line becomes a command with typed values, or a USAGE error that says what is wrong with it.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Registry } from '../../../src/cli/catalogue.ts'
import { defineCommand } from '../../../src/cli/define-command.ts'
import { parseCommandLine, type RunInvocation } from '../../../src/cli/parse.ts'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'

const take = defineCommand({
  description: 'Takes a thing from a place.',
  arguments: [
    { name: 'thing', help: 'What to take' },
    { name: 'place', help: 'Where', optional: true, choices: ['here', 'there'] },
  ],
  options: {
    label: { type: 'string', value: 'TEXT', short: 'l', help: 'Label' },
    jobs: { type: 'int', value: 'N', default: 2, min: 1, max: 16, help: 'Jobs' },
    rate: { type: 'size', value: 'SIZE', default: 64 * 1024 * 1024, help: 'Rate' },
    wait: { type: 'duration', value: 'TIME', max: 60_000, help: 'Longest wait' },
    mode: { type: 'choice', value: 'MODE', choices: ['fast', 'spread'], help: 'Mode' },
    tag: { type: 'list', value: 'TAG', help: 'Tag' },
    noSync: { type: 'flag', help: 'Do not sync' },
    force: { type: 'flag', help: 'Force it' },
    secret: { type: 'flag', hidden: true, help: 'For tests' },
  },
  needs: { config: true },
  exits: ['DATA_LOSS'],
  examples: ['backstay take it'],
  run: () => assert.fail('a command is not run to parse'),
})
const must = defineCommand({
  options: { to: { type: 'string', value: 'SERVER', required: true, help: 'Target' } },
  arguments: [{ name: 'files', help: 'Files', rest: true }],
  run: () => assert.fail('a command is not run to parse'),
})

const loaded: string[] = []
const REGISTRY: Registry = {
  groups: { thing: 'Work with things' },
  sections: [
    {
      title: 'Things',
      commands: {
        take: {
          summary: 'Take a thing',
          usage: '[options] <thing> [place]',
          load: async () => (loaded.push('take'), { default: take }),
        },
        'thing must': {
          summary: 'Has a required option',
          usage: '[options] <files...>',
          load: async () => (loaded.push('thing must'), { default: must }),
        },
      },
    },
  ],
}

async function parse(line: string): Promise<RunInvocation | string> {
  const invocation = await parseCommandLine(line.split(' ').filter(Boolean), {
    registry: REGISTRY,
    version: '1.2.3',
    columns: 90,
  })
  return invocation.kind === 'run' ? invocation : invocation.text
}

async function help(line: string): Promise<string> {
  const text = await parse(line)
  return typeof text === 'string' ? text : assert.fail(`runs ${text.path}`)
}

async function run(line: string): Promise<RunInvocation> {
  const invocation = await parse(line)
  if (typeof invocation === 'string') assert.fail(`help: ${invocation}`)
  return invocation
}

test('options become values of their types, with defaults for the rest', async () => {
  const {
    path,
    options,
    arguments: words,
  } = await run('take it there -l x --rate 2MB --wait 1.5s --mode fast --tag a,b --tag c --no-sync')
  assert.equal(path, 'take')
  assert.deepEqual(words, { thing: 'it', place: 'there' })
  assert.deepEqual(options, {
    label: 'x',
    jobs: 2,
    rate: 2 * 1024 * 1024,
    wait: 1500,
    mode: 'fast',
    tag: ['a', 'b', 'c'],
    noSync: true,
    force: false,
    secret: false,
  })
})

test('what is not given is undefined, false or empty', async () => {
  const { options, arguments: words, globals } = await run('take it')
  assert.equal(words['place'], undefined)
  assert.deepEqual(
    [options['label'], options['wait'], options['tag'], options['noSync']],
    [undefined, undefined, [], false],
  )
  assert.deepEqual(globals, {
    acceptNewHostKeys: false,
    config: undefined,
    json: false,
    quiet: false,
    noColor: false,
    verbose: false,
  })
})

test('global options stand before or after the command', async () => {
  const before = await run('--json -c a.yaml --no-color take it')
  const after = await run('take it --json -c a.yaml --no-color')
  assert.deepEqual(before.globals, after.globals)
  assert.deepEqual([before.globals.json, before.globals.noColor], [true, true])
  assert.equal(after.globals.config, 'a.yaml')
})

test('the value of --config is not taken for a command', async () => {
  assert.equal((await run('-c take thing must --to x f')).path, 'thing must')
})

test('only the command that is meant is loaded', async () => {
  loaded.length = 0
  await run('take it')
  assert.deepEqual(loaded, ['take'])
})

test('the last argument can take all words', async () => {
  assert.deepEqual((await run('thing must --to x a b')).arguments, { files: ['a', 'b'] })
})

const WRONG: readonly [line: string, message: string][] = [
  ['tkae it', 'Cannot read the command line: unknown command "tkae" (did you mean take?)'],
  ['take', 'Cannot read the command line: missing required argument "thing"'],
  [
    'take it here more',
    'Cannot read the command line: too many arguments for "take". Expected 2 arguments but got 3: it, here, more',
  ],
  ['take it nowhere', 'Cannot read place: "nowhere" is none of here, there'],
  ['take it --jsn', 'Cannot read the command line: unknown option "--jsn" (did you mean --json?)'],
  ['take it --label', 'Cannot read the command line: option "-l, --label <TEXT>" argument missing'],
  ['take it --jobs two', 'Cannot read --jobs: "two" is not a whole number'],
  ['take it --jobs 0', 'Cannot read --jobs: "0" is less than 1'],
  ['take it --jobs 17', 'Cannot read --jobs: "17" is more than 16'],
  ['take it --rate fast', 'Cannot read --rate: "fast" is not a size such as 64MB'],
  ['take it --wait 10', 'Cannot read --wait: "10" is not a duration such as 15m'],
  ['take it --wait 2h', 'Cannot read --wait: "2h" is more than 1 min'],
  [
    'take it --mode fats',
    'Cannot read --mode: "fats" is none of fast, spread (did you mean "fast"?)',
  ],
  ['thing', 'Cannot run "thing" alone: it needs one of must'],
  ['thing mist x', 'Cannot read the command line: unknown command "mist" (did you mean must?)'],
  ['thing must f', 'Cannot read the command line: required option "--to <SERVER>" not specified'],
]

for (const [line, message] of WRONG) {
  test(`"${line}" is a usage error that says why`, async () => {
    await assert.rejects(parse(line), (error) => {
      assert.ok(isBackstayError(error, 'USAGE'))
      assert.equal(error.message.replace(/\s+/g, ' '), message)
      return true
    })
  })
}

test('a usage error names the help of its command', async () => {
  await assert.rejects(
    parse('thing must'),
    (error) => isBackstayError(error) && error.hint === 'Run `backstay thing must --help`.',
  )
})

test('help is given for the program, a group and a command, in three spellings', async () => {
  assert.equal(await parse(''), await parse('--help'))
  assert.match(await help('--help'), /^Usage: backstay .*Things:\n {2}take /s)
  assert.match(await help('thing --help'), /Work with things.*must/s)
  assert.equal(await parse('help take'), await parse('take --help'))
  assert.equal(await parse('take -h'), await parse('take --help'))
})

test('the help of a command lists options, examples and exit codes, and hides what is hidden', async () => {
  const text = await help('take --help')
  assert.match(text, /^Usage: backstay take \[options\] <thing> \[place\]\n/)
  assert.match(text, /--jobs <N> +Jobs \(default: 2\)/)
  assert.match(text, /--rate <SIZE> +Rate \(default: 64\.0 MB\)/)
  assert.match(text, /--mode <MODE> +Mode: fast, spread/)
  assert.match(text, /Examples:\n {2}backstay take it\n/)
  assert.match(text, /Exit status:\n {2}0 {4}done\n/)
  assert.match(text, /\n {2}51 {3}unsafe without --allow-data-loss\n/)
  assert.doesNotMatch(text, /secret/)
})

test('--version answers among other options', async () => {
  assert.equal(await parse('--json --version'), 'backstay 1.2.3\n')
})
