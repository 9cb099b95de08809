/**
 * The program with commands of its own, to see what signals and failures do: run as a child process by the tests.
 */
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import type { Registry, RegistryLine } from '../../../src/cli/catalogue.ts'
import type { CommandContext, CommandResult } from '../../../src/cli/context.ts'
import { type CommandDefinition, defineCommand } from '../../../src/cli/define-command.ts'
import { main as program } from '../../../src/cli/main.ts'
import { BackstayError } from '../../../src/errors/backstay-error.ts'

type Action = (context: CommandContext) => Promise<CommandResult | void>

function command(run: Action, more: Partial<CommandDefinition> = {}): RegistryLine {
  const definition = defineCommand({ ...more, run })
  return { summary: 'For tests', usage: '', load: async () => ({ default: definition }) }
}

async function waitForAbort({ output, signal }: CommandContext): Promise<void> {
  output.write('waiting\n')
  const keepsAlive = setInterval(() => {}, 1000)
  if (!signal.aborted) await once(signal, 'abort')
  clearInterval(keepsAlive)
  output.write('stopping\n')
}

const REGISTRY: Registry = {
  groups: {},
  sections: [
    {
      title: 'Tests',
      commands: {
        wait: command(async (context) => {
          await waitForAbort(context)
          context.signal.throwIfAborted()
        }),
        daemon: command(
          async (context) => {
            await waitForAbort(context)
            context.signal.throwIfAborted()
          },
          { staysOnHangup: true },
        ),
        sleep: command(async ({ output, signal }) => {
          output.write('waiting\n')
          await delay(60_000, undefined, { signal })
        }),
        graceful: command(waitForAbort),
        stubborn: command(async (context) => {
          await waitForAbort(context)
          await delay(60_000)
        }),
        task: command(async ({ output }) => {
          await output.tasks.task('Think', async (task) => task.progress(1, 2))
          output.tasks.note('thought')
          return { data: { answer: 42 }, text: () => 'answer 42' }
        }),
        partly: command(async () => ({ data: { ok: false }, text: () => 'partly', exitCode: 3 })),
        fail: command(() => {
          const cause = new Error('password=hunter2 was refused')
          throw new BackstayError('POSTGRES_AUTH', 'Cannot log in to "db1"', { cause })
        }),
        bug: command(() => Promise.reject(new TypeError('x is undefined'))),
        stray: command(async () => {
          setTimeout(() => {
            throw new TypeError('thrown where nobody waits')
          })
          await delay(60_000)
        }),
        much: command(async () => ({ data: {}, text: () => 'x'.repeat(4_000_000) })),
        endless: command(async ({ output, signal }) => {
          for (;;) {
            output.write(`${'y'.repeat(10_000)}\n`)
            await delay(1, undefined, { signal })
          }
        }),
      },
    },
  ],
}

/** What bin/backstay.js calls. */
export function main(): Promise<void> {
  return program(REGISTRY)
}

if (import.meta.main) await main()
